package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/plan"
)

// planReport is what kubefed plan -o json prints. Fields are added, not renamed.
type planReport struct {
	Failing []plan.Domain `json:"failing,omitempty"`
	Loss    plan.Loss     `json:"loss"`
	Objects int           `json:"objects"`
	Changes []plan.Change `json:"changes"`
	// Cost is how much more all changes cost in an hour.
	Cost plan.Cost `json:"cost"`
}

func (f *planFlags) printPlan(s Streams, r planReport) error {
	problems := 0
	r.Cost = plan.Difference(r.Changes)
	for _, c := range r.Changes {
		if c.Problem != "" {
			problems++
		}
	}
	if f.output != "" {
		if err := printAs(s, f.output, r); err != nil {
			return err
		}
	} else {
		printChanges(s.Out, r)
	}
	if problems == 0 {
		return nil
	}
	verb := "fit"
	if len(r.Failing) > 0 {
		verb = "survive"
	}
	return &ExitError{ExitNotSurvived, fmt.Errorf("%d of %d objects would not %s", problems, r.Objects, verb)}
}

func printChanges(out io.Writer, r planReport) {
	if len(r.Failing) > 0 {
		fmt.Fprintf(out, "Without %s", failing(r.Failing))
		if len(r.Loss.Clusters) > 0 {
			fmt.Fprintf(out, ": clusters lost: %s", strings.Join(r.Loss.Clusters, ", "))
		}
		fmt.Fprintln(out)
		if len(r.Loss.Partly) > 0 {
			fmt.Fprintf(out, "One of several zones lost, their own schedulers move the pods: %s\n", strings.Join(r.Loss.Partly, ", "))
		}
	}
	if len(r.Changes) == 0 {
		fmt.Fprintf(out, "Nothing would change: %d objects\n", r.Objects)
		return
	}
	moved := 0
	table(out, "OBJECT", "POLICY", "NOW", "THEN", "LOST", "WAITS", "COST", "PROBLEM")(func(row func(...string)) {
		for i := range r.Changes {
			c := &r.Changes[i]
			if c.Moves() {
				moved++
			}
			row(objectName(c.Object), dash(c.Policy), shares(c.Now), shares(c.Then), count(c.Lost), wait(c.Waits.Duration), difference(c.Difference()), dash(c.Problem))
		}
	})
	fmt.Fprintf(out, "%d of %d objects would change\n", moved, r.Objects)
	printDifference(out, r.Cost)
}

func (f *planFlags) printSurvivability(s Streams, all []plan.Survival) error {
	bad := 0
	for _, one := range all {
		if len(one.Dead) > 0 {
			bad++
		}
	}
	if f.output != "" {
		if err := printAs(s, f.output, map[string]any{"domains": all}); err != nil {
			return err
		}
	} else {
		table(s.Out, "WITHOUT", "CLUSTERS", "OBJECTS", "REPLICAS", "WAITS", "SURVIVES", "PROBLEM")(func(row func(...string)) {
			for _, one := range all {
				survives, problem := "yes", "-"
				if n := len(one.Dead); n > 0 {
					survives = "NO"
					problem = objectName(one.Dead[0].Object) + ": " + one.Dead[0].Problem + more(n-1)
				}
				clusters := strings.Join(one.Loss.Clusters, ",")
				if len(one.Loss.Partly) > 0 {
					clusters = strings.TrimPrefix(clusters+",", ",") + "part of " + strings.Join(one.Loss.Partly, ",")
				}
				row(one.Domain.String(), clusters, count(int32(one.Affected)), count(one.Replicas), wait(one.Longest), survives, problem)
			}
		})
	}
	if bad == 0 {
		return nil
	}
	return &ExitError{ExitNotSurvived, fmt.Errorf("%d of %d failures would not be survived", bad, len(all))}
}

func objectName(o federation.ObjectReference) string {
	return qualified(o.Kind, o.Namespace, o.Name)
}

// shares reads as in a decision's status: "gondor 3, rohan 2".
func shares(of []plan.Share) string {
	var words []string
	for _, s := range of {
		word := s.Cluster
		if s.Replicas != nil {
			word = fmt.Sprintf("%s %d", s.Cluster, *s.Replicas)
		}
		words = append(words, word)
	}
	return dash(strings.Join(words, ", "))
}

func count(n int32) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func wait(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return duration.HumanDuration(d)
}
