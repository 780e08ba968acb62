// Package report writes what a FailoverDrill measured for people: as lines of a terminal, as Markdown, and as one page of HTML that
// needs nothing else. It is pure: the object holds everything.
package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Zero is the time that all others are told from: the injection, or how far the drill came.
func Zero(d *federation.FailoverDrill) time.Time {
	t := &d.Status.Times
	for _, at := range []*time.Time{timeOf(t.Injected), timeOf(t.Injecting), timeOf(t.Started)} {
		if at != nil {
			return *at
		}
	}
	if len(d.Status.Timeline) > 0 {
		return d.Status.Timeline[0].Time.Time
	}
	return d.CreationTimestamp.Time
}

// Offset is a time as the timeline shows it, such as "+12.3s".
func Offset(at, zero time.Time) string { return fmt.Sprintf("%+.1fs", at.Sub(zero).Seconds()) }

// Line is an event for a person to read: what it is about, and what there is to say.
func Line(e federation.DrillEvent) (subject, message string) {
	return e.Cluster + e.Service, e.Message
}

// Verdict is how the drill went, in a few words.
func Verdict(d *federation.FailoverDrill) string {
	if d.Status.Phase == "" {
		return "not begun"
	}
	passed := meta.FindStatusCondition(d.Status.Conditions, federation.DrillPassed)
	if len(d.Status.History) == 0 || d.Status.History[0].Run != d.Status.Run {
		return "under way: " + d.Status.Phase
	}
	result := strings.ToUpper(d.Status.History[0].Result)
	if passed == nil || passed.Message == "" {
		return result
	}
	return result + ": " + passed.Message
}

// What is rehearsed, in one line.
func What(d *federation.FailoverDrill) string {
	var names []string
	for _, c := range d.Status.Clusters {
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		for _, t := range d.Spec.Targets {
			switch {
			case t.Cluster != "":
				names = append(names, t.Cluster)
			case t.Zone != "":
				names = append(names, "zone "+t.Zone)
			case t.Region != "":
				names = append(names, "region "+t.Region)
			default:
				names = append(names, "provider "+t.Provider)
			}
		}
	}
	return fmt.Sprintf("%s of %s", d.Spec.Mode, strings.Join(names, ", "))
}

// section is one table of a report.
type section struct {
	title   string
	columns []string
	rows    [][]string
}

// sections are a report's tables; those without rows are left out.
func sections(d *federation.FailoverDrill) []section {
	st, zero := &d.Status, Zero(d)
	timeline := section{title: "Timeline", columns: []string{"TIME", "EVENT", "SUBJECT", "MESSAGE"}}
	for _, e := range st.Timeline {
		subject, message := Line(e)
		timeline.rows = append(timeline.rows, []string{Offset(e.Time.Time, zero), e.Event, subject, message})
	}
	services := section{title: "Services", columns: []string{"SERVICE", "REQUESTS", "FAILED", "LATE", "IN RESTORE", "RECOVERY", "FIRST", "LAST", "ERROR"}}
	for i := range st.Services {
		s := &st.Services[i]
		services.rows = append(services.rows, []string{s.Namespace + "/" + s.Name, fmt.Sprint(s.Requests), fmt.Sprint(s.Failed), fmt.Sprint(s.FailedLate), fmt.Sprint(s.FailedInRestore),
			recovery(s), at(timeOf(s.FirstFailure), zero), at(timeOf(s.LastFailure), zero), s.LastError})
	}
	moves := section{title: "Replicas", columns: []string{"OBJECT", "LOST", "MOVED", "NOT FITTING"}}
	for _, m := range st.Moves {
		moves.rows = append(moves.rows, []string{fmt.Sprintf("%s %s/%s", m.Kind, m.Namespace, m.Name), fmt.Sprint(m.Lost), fmt.Sprint(m.Moved), fmt.Sprint(m.NotFitting)})
	}
	if b := st.Before; b != nil && int(b.Objects) > len(st.Moves) {
		moves.rows = append(moves.rows, []string{fmt.Sprintf("all %d objects", b.Objects), fmt.Sprint(b.Replicas), fmt.Sprint(st.Moved), fmt.Sprint(st.NotFitting)})
	}
	goals := section{title: "Objectives", columns: []string{"OBJECTIVE", "SERVICE", "WANTED", "GOT", "MET"}}
	for _, o := range st.Objectives {
		met := "yes"
		if !o.Met {
			met = "NO"
		}
		goals.rows = append(goals.rows, []string{o.Name, o.Service, o.Want, o.Got, met})
	}
	history := section{title: "Runs", columns: []string{"RUN", "FINISHED", "RESULT", "RECOVERY", "REQUESTS", "FAILED", "MOVED", "MESSAGE"}}
	for _, r := range st.History {
		took := ""
		if r.RecoveryTime != nil {
			took = r.RecoveryTime.Duration.String()
		}
		history.rows = append(history.rows, []string{fmt.Sprint(r.Run), r.Finished.UTC().Format(time.RFC3339), r.Result, took, fmt.Sprint(r.Requests), fmt.Sprint(r.Failed), fmt.Sprint(r.Moved), r.Message})
	}
	var filled []section
	for _, s := range []section{timeline, services, moves, goals, history} {
		if len(s.rows) > 0 {
			filled = append(filled, s)
		}
	}
	return filled
}

// facts are what there is to say beside tables.
func facts(d *federation.FailoverDrill) []string {
	st := &d.Status
	var list []string
	if p := st.Plan; p != nil {
		text := fmt.Sprintf("The plan: %d replicas lost, all of them replaced", p.Replicas)
		if !p.Survives {
			text = "The plan: would not be survived: " + strings.Join(p.Problems, "; ")
		}
		if p.Forced {
			text += "; forced"
		}
		list = append(list, text)
	}
	if t := &st.Times; t.Injected != nil {
		var took []string
		for _, e := range []struct {
			what string
			at   *time.Time
		}{
			{"verdict", firstVerdict(d)}, {"DNS withdrawn", timeOf(t.Withdrawn)}, {"replacements ready", timeOf(t.Replaced)},
		} {
			if e.at != nil {
				took = append(took, e.what+" "+Offset(*e.at, t.Injected.Time))
			}
		}
		if len(took) > 0 {
			list = append(list, "After the injection: "+strings.Join(took, ", "))
		}
		list = append(list, fmt.Sprintf("%d replicas moved, %d did not fit", st.Moved, st.NotFitting))
	}
	return list
}

// firstVerdict is when a failed cluster was believed to be down or, where none was, unreachable.
func firstVerdict(d *federation.FailoverDrill) *time.Time {
	for _, state := range []string{federation.VerdictDown, federation.VerdictUnreachable} {
		for i := range d.Status.Timeline {
			if e := &d.Status.Timeline[i]; e.Event == federation.DrillEventVerdict && e.Message == state {
				return &e.Time.Time
			}
		}
	}
	return nil
}

// Table writes a report for a terminal.
func Table(out io.Writer, d *federation.FailoverDrill) {
	fmt.Fprintf(out, "Drill %s, run %d: %s\n%s\n", d.Name, d.Status.Run, What(d), Verdict(d))
	for _, fact := range facts(d) {
		fmt.Fprintln(out, fact)
	}
	for _, s := range sections(d) {
		fmt.Fprintf(out, "\n%s\n", s.title)
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		for _, row := range append([][]string{s.columns}, s.rows...) {
			fmt.Fprintf(w, "  %s\n", strings.TrimRight(strings.Join(dashes(row), "\t"), "\t"))
		}
		_ = w.Flush()
	}
}

// Markdown writes a report for a page or a ticket.
func Markdown(out io.Writer, d *federation.FailoverDrill) {
	escape := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;")
	fmt.Fprintf(out, "# Drill %s, run %d\n\n%s. **%s**\n", d.Name, d.Status.Run, What(d), escape.Replace(Verdict(d)))
	for i, fact := range facts(d) {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "* %s\n", escape.Replace(fact))
	}
	for _, s := range sections(d) {
		fmt.Fprintf(out, "\n## %s\n\n| %s |\n|%s\n", s.title, strings.ToLower(strings.Join(s.columns, " | ")), strings.Repeat("---|", len(s.columns)))
		for _, row := range s.rows {
			for i := range row {
				row[i] = escape.Replace(row[i])
			}
			fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
		}
	}
}

func dashes(row []string) []string {
	for i := range row {
		if row[i] == "" {
			row[i] = "-"
		}
	}
	return row
}

func recovery(s *federation.DrillServiceResult) string {
	if s.RecoveryTime == nil {
		return ""
	}
	return fmt.Sprintf("%.1fs", s.RecoveryTime.Seconds())
}

func at(t *time.Time, zero time.Time) string {
	if t == nil {
		return ""
	}
	return Offset(*t, zero)
}

func timeOf(t *metav1.MicroTime) *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}
