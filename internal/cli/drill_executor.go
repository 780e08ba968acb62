package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-multierror"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubefed.dev/kubefed/internal/playground"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill"
)

// executor carries out what the control plane can't. carryOut is called again and again with the drill as it is; what it does it
// writes into status.execution.
type executor interface {
	carryOut(ctx context.Context, api client.Client, d *federation.FailoverDrill)
	// done says that nothing is left to do for a drill.
	done(d *federation.FailoverDrill) bool
}

// playgroundExecutor ends clusters of a playground, or cuts them off.
type playgroundExecutor struct {
	playground playground.Playground
	note       func(format string, args ...any)
	began      bool
	tookBack   bool
}

// newExecutor makes sure that every cluster that may fail is the playground's, and that none runs the control plane.
func newExecutor(ctx context.Context, s Streams, dir string, found Federation, d *federation.FailoverDrill) (executor, error) {
	p, err := openPlayground(s, dir)
	if err != nil {
		return nil, err
	}
	status, err := p.Status(ctx)
	if errors.Is(err, playground.ErrNone) {
		return nil, fmt.Errorf("there is no playground in %s: %w", p.Dir, errNoPlayground)
	}
	if err != nil {
		return nil, err
	}
	world, _, err := readWorld(ctx, found.Config)
	if err != nil {
		return nil, err
	}
	loss, err := world.LossOf(drill.Domains(d.Spec.Targets)...)
	if err != nil {
		return nil, err
	}
	roles := map[string]string{}
	for _, c := range status.Clusters {
		roles[c.Name] = c.Role
	}
	for _, name := range loss.Clusters {
		switch roles[name] {
		case "":
			return nil, fmt.Errorf("cluster %s is none of the playground in %s: %w", name, p.Dir, errNoPlayground)
		case playground.Host:
			return nil, fmt.Errorf("cluster %s runs the federation's control plane, which has to watch the drill: choose another one", name)
		}
	}
	return &playgroundExecutor{playground: p, note: noteTo(s)}, nil
}

func (e *playgroundExecutor) carryOut(ctx context.Context, api client.Client, d *federation.FailoverDrill) {
	fail, back := e.playground.Kill, e.playground.Start
	if d.Spec.Mode == federation.DrillPartition {
		fail, back = e.playground.Partition, e.playground.Heal
	}
	switch d.Status.Phase {
	case federation.DrillInjecting:
		if e.began {
			return
		}
		e.began = true
		done := &metav1.MicroTime{Time: time.Now()} // from here on requests may fail
		e.report(ctx, api, d, "injected", done, e.each(ctx, d, fail))
	case federation.DrillRestoring, federation.DrillAborted, federation.DrillRefused, federation.DrillCompleted:
		if !e.began || e.tookBack {
			return
		}
		e.tookBack = true
		err := e.each(ctx, d, back)
		if err != nil {
			e.note("%v: try kubefed playground start or heal", err)
		}
		e.report(ctx, api, d, "takenBack", &metav1.MicroTime{Time: time.Now()}, err)
	}
}

func (e *playgroundExecutor) done(*federation.FailoverDrill) bool { return !e.began || e.tookBack }

// each does something with all clusters side by side.
func (e *playgroundExecutor) each(ctx context.Context, d *federation.FailoverDrill, do func(context.Context, string) error) error {
	var group multierror.Group
	for _, c := range d.Status.Clusters {
		group.Go(func() error { return do(ctx, c.Name) })
	}
	return group.Wait().ErrorOrNil()
}

// report writes down what was done, or why not.
func (e *playgroundExecutor) report(ctx context.Context, api client.Client, d *federation.FailoverDrill, field string, at *metav1.MicroTime, failed error) {
	execution := map[string]any{field: at}
	if failed != nil {
		execution = map[string]any{"error": failed.Error()}
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"execution": execution}})
	if err == nil {
		err = api.Status().Patch(ctx, d.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
	}
	if err != nil {
		e.note("telling the control plane of it: %v", err)
		e.began = e.began && field != "injected" // it is said again
	}
}
