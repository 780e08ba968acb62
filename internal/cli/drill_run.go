package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill"
	"kubefed.dev/kubefed/pkg/drill/report"
)

const drillRunLong = `Have clusters, zones, regions or providers fail on purpose, and follow what happens to the end.

Modes: verdict, the federation takes the clusters for dead, and nothing in them is touched; dns, only their endpoints leave DNS;
drain, everything moves away, replacements first; and of clusters of a playground kill, their processes really end, and
partition, the control plane can't reach them while their users can.

Nothing begins where the plan says that the loss could not be survived. Ctrl-C takes everything back, and waits until that is
done; a second one ends the command alone.

Exit codes: 0 the drill passed; 1 it could not be begun or followed; 2 with --dry-run, it would be refused; 5 it was refused, was
aborted, or missed an objective.`

const drillRunExample = `  kubefed drill run --cluster=gondor --service=shop/web --dry-run
  kubefed drill run tuesday --region=us-east-1 --service=shop/web --guard=availability=95 --objective=recovery=30s --duration=2m
  kubefed drill run --cluster=gondor --mode=kill --service=shop/web -o html --file=drill.html
  kubefed drill run weekly --provider=aws --schedule="0 10 * * 2" --service=shop/web --guard=availability=99`

func newDrillRun(s Streams) *cobra.Command {
	f := &drillRunFlags{}
	cmd := &cobra.Command{
		Use:               "run [NAME]",
		Short:             "Have something fail on purpose, and follow it to the end",
		Long:              drillRunLong,
		Example:           drillRunExample,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := f.drill(cmd, args, s)
			if err != nil {
				return err
			}
			return runDrill(cmd.Context(), f, d, s)
		},
	}
	f.add(cmd)
	return cmd
}

func runDrill(ctx context.Context, f *drillRunFlags, d *federation.FailoverDrill, s Streams) error {
	found, api, err := drillAPI(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	if f.dryRun {
		return dryRunDrill(ctx, found, api, d, s)
	}
	var act executor
	if d.Spec.Executor != "" {
		if act, err = newExecutor(ctx, s, f.dir, found, d); err != nil {
			return err
		}
	}
	if err := api.Create(ctx, d); apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("there is a drill %q already: choose another name, or kubectl delete failoverdrill %s", d.Name, d.Name)
	} else if err != nil {
		return fmt.Errorf("creating drill %s: %w", d.Name, err)
	}
	if d.Spec.Schedule != "" || !f.wait && d.Spec.Executor == "" {
		_, err := fmt.Fprintf(s.Out, "Drill %q created: kubefed drill show %s tells how it goes.\n", d.Name, d.Name)
		return err
	}
	noteTo(s)("drill %s: %s", d.Name, report.What(d))
	follower := &follower{api: api, name: d.Name, executor: act, streams: s}
	d, err = follower.follow(ctx)
	if err != nil {
		return err
	}
	if err := writeReport(s, f.output, f.file, d); err != nil {
		return err
	}
	passed := meta.FindStatusCondition(d.Status.Conditions, federation.DrillPassed)
	if passed == nil || passed.Status != "True" {
		return &ExitError{ExitDrillFailed, fmt.Errorf("drill %s: %s", d.Name, report.Verdict(d))}
	}
	return nil
}

// dryRunDrill asks the checks and the planner, and writes nothing.
func dryRunDrill(ctx context.Context, found Federation, api client.Client, d *federation.FailoverDrill, s Streams) error {
	if err := client.NewDryRunClient(api).Create(ctx, d.DeepCopy()); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("drill %s: %w", d.Name, err)
	}
	survey, err := drill.Look(ctx, api, found.Name, d)
	if err != nil {
		return err
	}
	if survey.World, _, err = readWorld(ctx, found.Config); err != nil {
		return err
	}
	checked := drill.Check(&d.Spec, &survey.Seen)
	domains := drill.Domains(d.Spec.Targets)
	if checked.Plan != nil {
		loss, err := survey.World.LossOf(domains...)
		if err != nil {
			return err
		}
		printChanges(s.Out, planReport{Objects: len(survey.World.Objects), Failing: domains, Loss: loss, Changes: checked.Changes})
	}
	if r := checked.Refusal; r != nil {
		return &ExitError{ExitNotSurvived, fmt.Errorf("the drill would be refused (%s): %s", r.Reason, r.Message)}
	}
	_, err = fmt.Fprintf(s.Out, "The drill could begin: %s of %s.\n", d.Spec.Mode, strings.Join(checked.Clusters, ", "))
	return err
}

// follower follows one drill, and carries out what the control plane can't.
type follower struct {
	api      client.Client
	name     string
	executor executor
	streams  Streams
	shown    []federation.DrillEvent
}

const (
	// followPeriod is how often a drill is looked at.
	followPeriod = 300 * time.Millisecond
	// followPatience is how long the control plane may be away.
	followPatience = 2 * time.Minute
)

// follow shows the timeline as it grows until nothing of the drill is left. When ctx ends it asks for the drill to be taken back,
// and goes on until that is done.
func (f *follower) follow(ctx context.Context) (*federation.FailoverDrill, error) {
	steady := context.WithoutCancel(ctx)
	asked, aborted, answered := false, false, time.Now()
	for {
		if ctx.Err() != nil && !asked {
			noteTo(f.streams)("interrupted: taking everything back; kubefed drill show %s tells, should this command be ended", f.name)
			asked = true
		}
		if asked && !aborted {
			// The control plane may be away for a moment; it is asked until it hears, since clusters that were ended are
			// brought back here.
			err := abortDrill(steady, f.api, f.name)
			if err != nil && time.Since(answered) > followPatience {
				return nil, err
			}
			aborted = err == nil
		}
		d := &federation.FailoverDrill{}
		err := f.api.Get(steady, client.ObjectKey{Name: f.name}, d)
		switch {
		case apierrors.IsNotFound(err):
			return nil, fmt.Errorf("drill %s was deleted: what it did is taken back", f.name)
		case err != nil && time.Since(answered) > followPatience:
			return nil, fmt.Errorf("following drill %s: %w: it goes on without this command; kubefed drill show %s", f.name, err, f.name)
		case err == nil:
			answered = time.Now()
			f.show(d)
			if f.executor != nil {
				f.executor.carryOut(steady, f.api, d)
			}
			if f.over(d) {
				d.ManagedFields = nil
				f.progress("")
				return d, nil
			}
		}
		wait := time.NewTimer(followPeriod)
		select {
		case <-wait.C:
		case <-abortedOnce(ctx, asked):
			wait.Stop()
		}
	}
}

// abortedOnce ends a wait when ctx ends, but not again.
func abortedOnce(ctx context.Context, asked bool) <-chan struct{} {
	if asked {
		return nil
	}
	return ctx.Done()
}

func (f *follower) over(d *federation.FailoverDrill) bool {
	if f.executor != nil && !f.executor.done(d) {
		return false
	}
	return meta.IsStatusConditionTrue(d.Status.Conditions, federation.DrillFinished) || d.Spec.Abort && !drill.Active(d) && d.Status.Phase == federation.DrillPending
}

func (f *follower) show(d *federation.FailoverDrill) {
	news := drill.News(f.shown, d.Status.Timeline)
	f.shown = d.Status.Timeline
	zero := report.Zero(d)
	if len(news) > 0 {
		f.progress("")
	}
	for _, e := range news {
		subject, message := report.Line(e)
		noteTo(f.streams)("%s", strings.TrimRight(fmt.Sprintf("%s  %8s  %-16s  %-10s  %s", e.Time.Local().Format("15:04:05.0"), report.Offset(e.Time.Time, zero), e.Event, dash(subject), message), " "))
	}
	if d.Status.Phase == "" {
		return
	}
	requests, failed := int64(0), int64(0)
	for i := range d.Status.Services {
		requests, failed = requests+d.Status.Services[i].Requests, failed+d.Status.Services[i].Failed
	}
	text := fmt.Sprintf("%s: %d requests, %d failed, %d replicas moved", d.Status.Phase, requests, failed, d.Status.Moved)
	if t := d.Status.Times; d.Status.Phase == federation.DrillRunning && t.Injected != nil && d.Spec.Duration != nil {
		text += fmt.Sprintf(", %ds of %s", int(time.Since(t.Injected.Time).Seconds()), d.Spec.Duration.Duration)
	}
	f.progress(text)
}

// progress writes over the last line of a terminal.
func (f *follower) progress(text string) {
	fmt.Fprintf(progressWriter(f.streams), "\r\x1b[K%s", text)
}

// errNoPlayground explains what kill and partition need.
var errNoPlayground = errors.New("kill and partition really end or cut off clusters of a playground: name its folder by --dir, or use --mode=verdict")
