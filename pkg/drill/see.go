package drill

import (
	"context"
	"fmt"

	"kubefed.dev/kubefed/pkg/drill/traffic"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/plan/snapshot"
)

// loads are the requests of one run of a drill.
type loads struct {
	run  int64
	list []*traffic.Load
}

func (l *loads) stop() {
	for _, one := range l.list {
		one.Stop()
	}
}

// see gathers what the next step is decided on, and keeps the requests going that are part of it.
func (c *Controller) see(ctx context.Context, d *federation.FailoverDrill) (*Seen, error) {
	reader := c.live // before it begins nothing that is seen may be old
	if Active(d) {
		reader = c.federation
	}
	survey, err := Look(ctx, reader, c.name, d)
	if err != nil {
		return nil, err
	}
	if d.Status.Phase == federation.DrillPending && !d.Spec.Suspend && !d.Spec.Abort {
		if survey.World, _, err = snapshot.Read(ctx, c.live, c.discovery); err != nil {
			return nil, fmt.Errorf("reading what drill %s would move: %w", d.Name, err)
		}
	}
	survey.Resumed = c.send(d.Name, d, survey)
	return &survey.Seen, nil
}

// send starts or stops the requests of a drill, and puts what they met with into the survey. It says whether they had been
// interrupted.
func (c *Controller) send(name string, d *federation.FailoverDrill, survey *Survey) (resumed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.loads[name]
	if l != nil && (d == nil || !Active(d) || l.run != d.Status.Run) {
		l.stop()
		delete(c.loads, name)
		l = nil
	}
	if d == nil || !Active(d) {
		return false
	}
	if l == nil {
		// Requests counted before tell those of a process that ended from those that were never sent.
		for _, s := range d.Status.Services {
			resumed = resumed || s.Requests > 0
		}
		l = &loads{run: d.Status.Run}
		for i := range survey.Subjects {
			var sofar federation.DrillServiceResult
			if i < len(d.Status.Services) {
				sofar = d.Status.Services[i]
			}
			l.list = append(l.list, traffic.Start(survey.Subjects[i], sofar, Window(&d.Spec)))
		}
		c.loads[name] = l
	}
	for i, one := range l.list {
		one.Follow(survey.Subjects[i], d.Status.Times)
		survey.Services[i].Result, survey.Services[i].Recent, survey.Services[i].RecentFailed = one.Result()
	}
	return resumed
}
