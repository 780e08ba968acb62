package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// bench measures a world.
type bench struct {
	options
	*world
	progress io.Writer
	lookouts []*lookout // of the members
	idle     usage      // seconds of processor time per second at rest
}

// system is one way to bring Deployments into the members.
type system struct {
	name      string
	namespace string
	targets   []*server // what the driver writes to
	parts     []string  // whose processor time counts
	// tail is how long after the last arrival work may still begin: the federation writes statuses down.
	tail time.Duration
	// updates says whether updates and deletions are measured too.
	updates bool
}

// The folder of pkg/sync writes down what does not come to rest, as Deployments without pods, after three seconds.
const federatedTail = 4 * time.Second

func (b *bench) systems() []system {
	members := []string{partMembers, partDriver}
	return []system{
		{name: "direct", namespace: "direct", targets: b.members, parts: members, tail: time.Second, updates: true},
		{name: "four plain", namespace: "four-plain", targets: append([]*server{b.plain}, b.members...), parts: append(members, partPlain), tail: time.Second},
		{name: "federated", namespace: "federated", targets: []*server{b.federation}, parts: append(members, partControlPlane), tail: federatedTail, updates: true},
	}
}

func (b *bench) run(ctx context.Context) (*result, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	for _, m := range b.members {
		l, err := newLookout(ctx, m, fail)
		if err != nil {
			return nil, err
		}
		b.lookouts = append(b.lookouts, l)
	}
	r := newResult(b.options)
	err := b.warmUp(ctx)
	if err != nil {
		return nil, errors.Join(err, b.alive())
	}
	if r.Memory.ControlPlaneEmpty, err = residentMiB(b.federation.command.Process.Pid); err != nil {
		return nil, err
	}
	if r.Memory.PlainEmpty, err = residentMiB(b.plain.command.Process.Pid); err != nil {
		return nil, err
	}
	if err := b.rounds(ctx, r); err != nil {
		return nil, errors.Join(err, b.alive())
	}
	if err := b.failover(ctx, r); err != nil {
		return nil, errors.Join(err, b.alive())
	}
	return r, nil
}

func (b *bench) rounds(ctx context.Context, r *result) error {
	for round := range b.options.rounds {
		for _, s := range b.systems() {
			fmt.Fprintf(b.progress, "round %d of %d: %s\n", round+1, b.options.rounds, s.name)
			last := round == b.options.rounds-1
			if err := b.round(ctx, r, s, names(fmt.Sprintf("r%d", round), b.deployments), last); err != nil {
				return fmt.Errorf("round %d, %s: %w", round+1, s.name, err)
			}
		}
	}
	return b.latencies(ctx, r)
}

// warmUp makes everything start that starts with the first object, and learns what rest is.
func (b *bench) warmUp(ctx context.Context) error {
	fmt.Fprintln(b.progress, "warming up")
	for _, s := range b.systems() {
		for _, target := range s.targets {
			if err := ensureNamespace(ctx, target, s.namespace); err != nil {
				return err
			}
		}
		if err := b.all(ctx, s, names("warm", 30)); err != nil {
			return fmt.Errorf("warming up, %s: %w", s.name, err)
		}
	}
	if err := pause(ctx, federatedTail); err != nil {
		return err
	}
	before, err := b.usage()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := pause(ctx, 6*time.Second); err != nil {
		return err
	}
	after, err := b.usage()
	b.idle = after.minus(before).times(1 / time.Since(start).Seconds())
	return err
}

// all creates, changes and deletes without measuring.
func (b *bench) all(ctx context.Context, s system, names []string) error {
	for _, step := range []struct {
		write   write
		reached func(watch.EventType, *metav1.PartialObjectMetadata) bool
	}{{create, present}, {update, changed}, {remove, gone}} {
		e := expect(b.lookouts, s.namespace, names, step.reached)
		if err := load(ctx, b.writers, s.targets, s.namespace, names, step.write); err != nil {
			return err
		}
		if _, err := e.met(ctx); err != nil {
			return err
		}
	}
	return nil
}

// round measures one system once.
func (b *bench) round(ctx context.Context, r *result, s system, names []string, last bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("not within ten minutes"))
	defer cancel()
	federated := s.name == "federated"
	var profiled chan error
	profile := func() {
		if last && federated && b.profile != "" {
			profiled = make(chan error, 1)
			go func() { profiled <- b.takeProfile(ctx) }()
		}
	}
	measured := func(operation string, w write, reached func(watch.EventType, *metav1.PartialObjectMetadata) bool) error {
		var before, beforeMembers writes
		var err error
		if federated {
			if before, beforeMembers, err = b.count(ctx); err != nil {
				return err
			}
		}
		m, err := b.measure(ctx, s, names, w, reached)
		if err != nil {
			return fmt.Errorf("%s: %w", operation, err)
		}
		r.add(operation, s.name, m)
		if federated {
			after, afterMembers, err := b.count(ctx)
			if err != nil {
				return err
			}
			r.addWrites(operation, after.since(before), afterMembers.since(beforeMembers))
		}
		return nil
	}
	profile()
	if err := measured("create", create, present); err != nil {
		return err
	}
	if profiled != nil {
		if err := <-profiled; err != nil {
			return err
		}
	}
	if federated && last {
		var err error
		if r.Memory.ControlPlaneAfter, err = residentMiB(b.federation.command.Process.Pid); err != nil {
			return err
		}
	}
	if !s.updates {
		// The server without controllers keeps its objects: nobody takes the federation's finalizer off there.
		return load(ctx, b.writers, b.members, s.namespace, names, remove)
	}
	if err := measured("update", update, changed); err != nil {
		return err
	}
	return measured("delete", remove, gone)
}

func (b *bench) count(ctx context.Context) (federation, members writes, err error) {
	if federation, err = b.federation.writes(ctx); err != nil {
		return nil, nil, err
	}
	members, err = b.memberWrites(ctx)
	return federation, members, err
}

// measurement is one operation on all Deployments of a round.
type measurement struct {
	// seconds from the first request to the last arrival in a member.
	seconds float64
	// processor time beyond what the same processes use at rest.
	processor usage
	total     float64
}

func (b *bench) measure(ctx context.Context, s system, names []string, w write, reached func(watch.EventType, *metav1.PartialObjectMetadata) bool) (measurement, error) {
	expected := expect(b.lookouts, s.namespace, names, reached)
	before, err := b.usage()
	if err != nil {
		return measurement{}, err
	}
	start := time.Now()
	if err := load(ctx, b.writers, s.targets, s.namespace, names, w); err != nil {
		return measurement{}, err
	}
	last, err := expected.met(ctx)
	if err != nil {
		return measurement{}, err
	}
	if err := b.quiet(ctx, s.tail, b.idle); err != nil {
		return measurement{}, err
	}
	after, err := b.usage()
	if err != nil {
		return measurement{}, err
	}
	used := after.minus(before).minus(b.idle.times(time.Since(start).Seconds()))
	return measurement{seconds: last.Sub(start).Seconds(), processor: used.only(s.parts), total: used.of(s.parts)}, nil
}

// latencies measures single creates while nothing else happens: from the answer to the create to the presence in all
// members; directly, from the start of three parallel creates.
func (b *bench) latencies(ctx context.Context, r *result) error {
	fmt.Fprintf(b.progress, "%d single creates\n", b.singles)
	for i, name := range names("single", b.singles) {
		for _, s := range b.systems() {
			if s.name == "four plain" {
				continue
			}
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
			e := expect(b.lookouts, s.namespace, []string{name}, present)
			start := time.Now()
			if err := load(ctx, len(s.targets), s.targets, s.namespace, []string{name}, create); err != nil {
				return err
			}
			if s.name == "federated" {
				start = time.Now()
			}
			last, err := e.met(ctx)
			if err != nil {
				return fmt.Errorf("single create %d, %s: %w", i+1, s.name, err)
			}
			r.latencies[s.name] = append(r.latencies[s.name], last.Sub(start))
		}
	}
	return nil
}

// takeProfile fetches a CPU profile of the control plane.
func (b *bench) takeProfile(ctx context.Context) error {
	data, err := b.federation.client.Discovery().RESTClient().Get().AbsPath("/debug/pprof/profile").Param("seconds", "10").DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("taking a profile of the control plane: %w", err)
	}
	return os.WriteFile(b.profile, data, 0o644)
}

func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return list
}
