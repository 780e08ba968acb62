package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// objectsShown is how many misplaced objects a page has room for.
const objectsShown = 20

func printStatus(out io.Writer, r statusReport) {
	f, c := r.Federation, r.ControlPlane
	fmt.Fprintf(out, "Federation %s, DNS zone %s\n  API          %s (context %s)\n", f.Name, strings.TrimSuffix(f.DNSZone, "."), f.Server, f.Context)
	health := "ready"
	if !c.Ready {
		health = "NOT READY: " + strings.Join(c.Failing, ", ")
	}
	leader := c.Leader
	if leader == "" {
		leader = "NONE"
	}
	fmt.Fprintf(out, "  Health       %s\n  Version      %s\n  Controllers  %s\n", health, c.Version, leader)
	if f.Isolated != "" {
		fmt.Fprintf(out, "  ISOLATED     %s\n", oneLine(f.Isolated))
	}
	printClusters(out, r.Clusters)
	printMoves(out, r.Moves)
	printObjects(out, r.Objects)
	printDNSStatus(out, r.DNS)
	if len(r.Tombstones) > 0 {
		fmt.Fprintf(out, "\nTombstones: copies to be removed once their cluster is back\n")
		table(out, "KIND", "NAMESPACE", "NAME", "CLUSTERS", "AGE")(func(row func(...string)) {
			for _, t := range r.Tombstones {
				row(t.Kind, dash(t.Namespace), t.Name, strings.Join(t.Clusters, ","), age(t.Since.Time))
			}
		})
	}
	if len(r.Warnings) > 0 {
		fmt.Fprintf(out, "\nLatest warnings\n")
		table(out, "AGE", "OBJECT", "REASON", "MESSAGE")(func(row func(...string)) {
			for _, w := range r.Warnings {
				row(age(w.Time.Time), w.Object, w.Reason, oneLine(w.Message))
			}
		})
	}
}

func printClusters(out io.Writer, clusters []clusterStatus) {
	if len(clusters) == 0 {
		fmt.Fprintf(out, "\nNo clusters: join one with kubefed join NAME\n")
		return
	}
	fmt.Fprintf(out, "\nClusters\n")
	table(out, "NAME", "READY", "VERDICT", "VERSION", "PROVIDER", "REGION", "NODES", "MESSAGE")(func(row func(...string)) {
		for _, c := range clusters {
			ready, message := "True", ""
			if !c.Ready {
				ready, message = "False", strings.TrimSuffix(c.Reason+": "+oneLine(c.Message), ": ")
			}
			verdict := "-"
			if c.Verdict != nil {
				verdict = c.Verdict.State
			}
			if c.impaired() { // it says more than the condition
				message = c.Verdict.Reason + ": " + oneLine(c.Verdict.Message) + evidenceOf(c.Verdict)
			}
			message = strings.TrimSuffix(strings.Join(append(slices.Clone(c.Marks), message), "; "), "; ")
			row(c.Name, ready, verdict, dash(c.Version), dash(c.Provider), dash(c.Region), fmt.Sprintf("%d/%d", c.Nodes.Ready, c.Nodes.Total), message)
		}
	})
}

// evidenceOf lists what each source says, such as " (API Dead, Witness/rohan Dead)".
func evidenceOf(v *verdictStatus) string {
	var words []string
	for _, e := range v.Evidence {
		words = append(words, e.Source+" "+e.Says)
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

func printObjects(out io.Writer, o objectsStatus) {
	fmt.Fprintf(out, "\nObjects: %d of %d where they should be\n", o.Synced, o.Total)
	if len(o.Others) == 0 {
		return
	}
	table(out, "KIND", "NAMESPACE", "NAME", "STATE", "CLUSTERS", "MESSAGE")(func(row func(...string)) {
		for _, object := range o.Others[:min(len(o.Others), objectsShown)] {
			row(object.Kind, dash(object.Namespace), object.Name, object.Reason, dash(strings.Join(object.Clusters, ",")), oneLine(object.Message))
		}
	})
	if left := len(o.Others) - objectsShown; left > 0 {
		fmt.Fprintf(out, "  and %d more: kubectl get placementdecisions -A\n", left)
	}
}

// table prints aligned columns, indented.
func table(out io.Writer, columns ...string) func(func(row func(cells ...string))) {
	return aligned(out, "  ", columns)
}

func aligned(out io.Writer, indent string, columns []string) func(func(row func(cells ...string))) {
	return func(fill func(row func(...string))) {
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		row := func(cells ...string) {
			fmt.Fprintf(w, "%s%s\n", indent, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
		}
		row(columns...)
		fill(row)
		_ = w.Flush()
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(time.Since(t))
}
