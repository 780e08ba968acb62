package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/plan"
)

const drainLong = `Move everything that runs off living clusters: replacements first, in steps as the policies' moves say. Endpoints there leave
DNS, and the last replicas go once no client can hold their addresses. What does not run (ConfigMaps, Services, volumes ...)
stays, and so do custom resources that are copied whole: kubefed unjoin --workloads=remove takes them away. Jobs come to
their end there.

The command shows how it goes until it is done. The federation drains on without it: after Ctrl-C the same command shows
the progress again, and kubefed uncordon takes it back.

Nothing is drained that no other cluster could take, unless --force says so: what does not fit stays.

Exit codes: 0 drained; 1 not (in time); 2 refused, something would not fit.`

type drainFlags struct {
	clustersFlags
	dryRun, force, wait bool
	timeout             time.Duration
}

func newDrain(s Streams) *cobra.Command {
	f := &drainFlags{}
	cmd := &cobra.Command{
		Use:               "drain CLUSTER...",
		Short:             "Move everything that runs off living clusters",
		Long:              drainLong,
		Example:           "  kubefed drain gondor --dry-run\n  kubefed drain gondor\n  kubefed drain --provider=aws --wait=false",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMoreClusters,
		RunE:              func(cmd *cobra.Command, args []string) error { return runDrain(cmd.Context(), f, args, s) },
	}
	f.addFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what would move where, and drain nothing")
	flags.BoolVar(&f.force, "force", false, "drain although something would not fit elsewhere; that stays")
	flags.BoolVar(&f.wait, "wait", true, "wait until all is moved")
	flags.DurationVar(&f.timeout, "timeout", 0, "how long to wait; 0 for as long as it takes")
	return cmd
}

// drainReport is what kubefed drain -o json prints. Fields are added, not renamed.
type drainReport struct {
	Clusters []string `json:"clusters"`
	// Drained says that nothing is left that will leave.
	Drained bool `json:"drained"`
	// Left will leave yet, Stays will not.
	Left  []plan.Leaving `json:"left"`
	Stays []plan.Leaving `json:"stays"`
}

func runDrain(ctx context.Context, f *drainFlags, args []string, s Streams) error {
	domains, err := f.domains(args)
	if err != nil {
		return err
	}
	if f.timeout < 0 {
		return &ExitError{ExitUsage, fmt.Errorf("--timeout=%s: must not be negative; 0 waits as long as it takes", f.timeout)}
	}
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	before, _, err := readWorld(ctx, found.Config)
	if err != nil {
		return fmt.Errorf("federation %q: %w", found.Name, err)
	}
	names, err := chosen(before, domains)
	if err != nil {
		return err
	}
	after := before.Drained(names...)
	results := after.Settle()
	changes := plan.Compare(before, after, results, false)
	if f.dryRun {
		show := &planFlags{output: f.output}
		return show.printPlan(s, planReport{Objects: len(after.Objects), Changes: changes})
	}
	if err := refuseDrain(before, names, changes); err != nil && !f.force {
		return err
	}
	api, err := newClient(found.Config)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := changeTaints(ctx, api, name, func(taints []corev1.Taint) []corev1.Taint {
			return withTaint(taints, federation.TaintDrain, corev1.TaintEffectNoExecute)
		}); err != nil {
			return err
		}
	}
	d := &drain{api: api, world: before, results: results, clusters: names}
	if !f.wait {
		return f.print(s, d.report())
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("not drained after %s", f.timeout))
		defer cancel()
	}
	r, err := d.follow(ctx, progressTo(s))
	if err != nil {
		return err
	}
	return f.print(s, r)
}

// refuseDrain says why clusters had better not be drained, nil where nothing speaks against it.
func refuseDrain(w *plan.World, names []string, changes []plan.Change) error {
	if len(w.Takers(names...)) == 0 {
		return &ExitError{ExitNotSurvived, fmt.Errorf("no cluster would be left that could take anything: join or uncordon one first, or say --force")}
	}
	var problems []string
	for _, c := range changes {
		if c.Problem != "" && slices.ContainsFunc(c.Now, func(s plan.Share) bool { return slices.Contains(names, s.Cluster) }) {
			problems = append(problems, objectName(c.Object)+": "+c.Problem)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &ExitError{ExitNotSurvived, fmt.Errorf("%s%s; kubefed drain --dry-run shows all of it, --force drains what fits", problems[0], more(len(problems)-1))}
}

// drain follows clusters that are drained.
type drain struct {
	api      client.Client
	world    *plan.World
	results  map[plan.Key]plan.Result
	clusters []string
}

// look is how often the decisions are read while somebody waits.
const look = time.Second

// follow waits until nothing is left that will leave.
func (d *drain) follow(ctx context.Context, progress func(string, ...any)) (drainReport, error) {
	said := ""
	for {
		r := d.report()
		if r.Drained {
			return r, nil
		}
		if line := progressOf(r); line != said {
			progress("%s", line)
			said = line
		}
		select {
		case <-ctx.Done():
			cause := context.Cause(ctx)
			if errors.Is(cause, context.Canceled) {
				cause = errors.New("no longer watched")
			}
			return r, fmt.Errorf("%w: %s; the federation drains on: the same command shows how it goes, kubefed uncordon %s takes it back",
				cause, progressOf(r), strings.Join(d.clusters, " "))
		case <-time.After(look):
		}
		if err := d.refresh(ctx); err != nil && ctx.Err() == nil {
			return r, fmt.Errorf("reading placement decisions: %w", err)
		}
	}
}

// refresh reads the decisions anew.
func (d *drain) refresh(ctx context.Context) error {
	decisions := map[client.ObjectKey]*federation.PlacementDecision{}
	var list federation.PlacementDecisionList
	if err := eachPage(ctx, d.api, &list, func() {
		for i := range list.Items {
			one := list.Items[i]
			decisions[client.ObjectKeyFromObject(&one)] = &one
		}
	}); err != nil {
		return err
	}
	for key, o := range d.world.Objects {
		o.Decision = decisions[o.DecisionKey(key.Namespace, key.Name)]
		d.world.Objects[key] = o
	}
	return nil
}

func (d *drain) report() drainReport {
	r := drainReport{Clusters: d.clusters, Left: []plan.Leaving{}, Stays: []plan.Leaving{}}
	for _, l := range d.world.Leaving(d.results, d.clusters...) {
		if l.Stays != "" {
			r.Stays = append(r.Stays, l)
		} else {
			r.Left = append(r.Left, l)
		}
	}
	r.Drained = len(r.Left) == 0
	return r
}

// progressOf says in a line what is left.
func progressOf(r drainReport) string {
	replicas, names, waits := int32(0), []string{}, ""
	for _, l := range r.Left {
		replicas += ptr.Deref(l.Replicas, 0)
		word := objectName(l.Object)
		switch {
		case l.Ends:
			word += " (ends there)"
		case l.Replicas != nil:
			word += fmt.Sprintf(" %d", *l.Replicas)
		}
		names = append(names, word)
		if waits == "" && l.Missing != "" {
			waits = "; " + l.Missing
		}
	}
	const most = 3
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("and %d more", len(r.Left)-most))
	}
	return fmt.Sprintf("%s: %d objects with %d replicas to go: %s%s", strings.Join(r.Clusters, ", "), len(r.Left), replicas, strings.Join(names, ", "), waits)
}

func (f *drainFlags) print(s Streams, r drainReport) error {
	if f.output != "" {
		return printAs(s, f.output, r)
	}
	printDrained(s.Out, r)
	return nil
}

func printDrained(out io.Writer, r drainReport) {
	names := strings.Join(r.Clusters, ", ")
	switch {
	case !r.Drained:
		fmt.Fprintf(out, "draining %s\n", progressOf(r))
	case len(r.Stays) == 0:
		fmt.Fprintf(out, "drained %s: nothing runs there any more; kubefed uncordon takes it back\n", names)
	default:
		fmt.Fprintf(out, "drained %s, but for what stays:\n", names)
	}
	if len(r.Stays) == 0 {
		return
	}
	table(out, "OBJECT", "CLUSTER", "REPLICAS", "WHY")(func(row func(...string)) {
		for _, l := range r.Stays {
			row(objectName(l.Object), l.Cluster, count(ptr.Deref(l.Replicas, 0)), l.Stays)
		}
	})
}
