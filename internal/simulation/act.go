package simulation

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/policy"
)

// place decides on every workload whose question differs, or whose timer has run out.
func (w *World) place() error {
	for _, l := range w.workloads {
		in := w.question(l)
		digest := digestOf(in)
		if digest == l.asked && (l.wake.IsZero() || w.now().Before(l.wake)) {
			continue
		}
		answer := placement.Place(in)
		l.asked, l.wake = digest, answer.Wake
		if alone := placement.Begins(l.decision, &answer.Decision, in.Clusters); l.decision != nil && len(alone) > 0 {
			if ok, wait := w.budget.Take(w.now(), w.rate); !ok {
				for i := range in.Clusters {
					if slices.Contains(alone, in.Clusters[i].Name) {
						in.Clusters[i].Held = "waits"
					}
				}
				answer = placement.Place(in)
				l.asked, l.wake = 0, w.now().Add(wait) // and is asked each second
			}
		}
		if err := w.checkLeaving(l, l.decision, &answer.Decision, in.Clusters); err != nil {
			return err
		}
		l.placed = l.replicas
		if l.decision != nil && placement.Same(l.decision, &answer.Decision) {
			continue
		}
		w.moved = w.second
		w.note("%s: %s", l.name, shares(&answer.Decision))
		l.decision = &answer.Decision
		l.asked = 0 // the decision in force is part of the question
	}
	return nil
}

func shares(d *placement.Decision) string {
	text := ""
	for _, c := range d.Clusters {
		text += fmt.Sprintf("%s %d, ", c.Name, ptr.Deref(c.Replicas, 0))
	}
	return text + fmt.Sprintf("moving %v, unplaced %d, %s", d.Moving, d.Unplaced, d.Missing)
}

func (w *World) question(l *workload) placement.Input {
	in := placement.Input{Object: placement.Object{Reference: federation.ObjectReference{Kind: "Deployment", Name: l.name, UID: "u"}, Divided: true,
		Replicas: ptr.To(l.replicas), Ordered: l.ordered}, Policy: l.rule, Current: l.decision, Now: w.now()}
	for _, c := range w.clusters {
		m := placement.Cluster{Cluster: policy.Cluster{Name: c.name, Region: c.region}, Ready: c.ready, Since: c.since, Taints: slices.Clone(c.taints)}
		if v := c.memory.Verdict; v != nil && v.State == federation.VerdictDown {
			seen := placement.ClusterFacts(&federation.Cluster{Status: federation.ClusterStatus{Verdict: v, Taints: c.taints}})
			m.Down, m.Confirmed, m.DownSince = seen.Down, seen.Confirmed, seen.DownSince
		}
		if c.leaves() {
			m.Taints = append(m.Taints, corev1.Taint{Key: federation.TaintDrain, Effect: corev1.TaintEffectNoExecute})
		}
		in.Clusters = append(in.Clusters, m)
		r, known := l.reports[c.name]
		if !known {
			continue
		}
		leaving := l.decision != nil && !slices.ContainsFunc(l.decision.Clusters, func(p federation.ClusterPlacement) bool { return p.Name == c.name })
		in.Copies = append(in.Copies, placement.Copy{Cluster: c.name, Synced: w.shareOf(l, c.name) == r.share, Ready: ptr.To(r.ready), Leaving: leaving})
	}
	placement.Hold(federation.FailoverBounds{Paused: w.paused}, in.Clusters)
	if l.guarded {
		in.Object.Disruptions = []placement.Disruption{{MaxUnavailable: ptr.To(intstr.FromInt32(1))}}
	}
	return in
}

func (w *World) shareOf(l *workload, name string) int32 {
	if l.decision == nil {
		return 0
	}
	for _, p := range l.decision.Clusters {
		if p.Name == name {
			return ptr.Deref(p.Replicas, 0)
		}
	}
	return 0
}

func digestOf(in placement.Input) uint64 {
	h := fnv.New64a()
	put := func(v int64) { _ = binary.Write(h, binary.LittleEndian, v) }
	flag := func(b bool) {
		if b {
			put(1)
		} else {
			put(0)
		}
	}
	put(int64(*in.Object.Replicas))
	for _, c := range in.Clusters {
		flag(c.Ready)
		flag(c.Down)
		flag(c.Confirmed)
		_, _ = h.Write([]byte(c.Held))
		put(c.Since.Unix())
		for _, t := range c.Taints {
			_, _ = h.Write([]byte(t.Key + string(t.Effect)))
			if t.TimeAdded != nil {
				put(t.TimeAdded.Unix())
			}
		}
	}
	for _, c := range in.Copies {
		_, _ = h.Write([]byte(c.Cluster))
		flag(c.Synced)
		flag(c.Leaving)
		put(int64(*c.Ready))
	}
	return h.Sum64() | 1
}

// carryOut makes decisions true where the control plane reaches, and reads reports there.
func (w *World) carryOut() error {
	for _, l := range w.workloads {
		if l.decision == nil {
			continue
		}
		before := w.known(l, startsWithin+1) // what became ready in this second nobody was told of
		shrunk := ""
		for _, c := range w.clusters {
			if !c.ready || !w.reached(c) {
				continue
			}
			share := int(w.shareOf(l, c.name))
			pods := l.pods[c.name]
			if share < len(pods) {
				shrunk += fmt.Sprintf(" %s to %d", c.name, share)
			}
			for len(pods) < share {
				pods = append(pods, w.second)
			}
			l.pods[c.name] = pods[:share]
			for _, o := range l.decision.Ordinals {
				if o.Name == c.name {
					l.blocks[c.name] = o.Start
				}
			}
			_, had := l.reports[c.name]
			listed := slices.ContainsFunc(l.decision.Clusters, func(p federation.ClusterPlacement) bool { return p.Name == c.name })
			switch {
			case listed:
				l.reports[c.name] = report{int32(share), w.ready(l, c)}
			case had:
				delete(l.reports, c.name) // the copy is gone
			}
		}
		if after := w.known(l, startsWithin); shrunk != "" && after < min(before, l.replicas) {
			return fmt.Errorf("%s:%s left %d of %d ready replicas of %d", l.name, shrunk, after, before, l.replicas)
		}
	}
	return nil
}

// known counts the replicas that serve. Of a cluster that fell silent a moment ago nobody can know it yet: there the last
// report counts. A pod serves so many seconds after it was made.
func (w *World) known(l *workload, seconds int) (n int32) {
	for _, c := range w.clusters {
		switch {
		case c.serves():
			n += w.readyAfter(l, c, seconds)
		case c.ready || w.second-int(c.since.Sub(w.started).Seconds()) < unnoticed:
			n += min(l.reports[c.name].ready, int32(len(l.pods[c.name])))
		}
	}
	return n
}

// unnoticed is for how many seconds a death may be unknown.
const unnoticed = 3

// publish plans the zone and writes it.
func (w *World) publish() error {
	subjects := make([]dns.Subject, 0, len(w.workloads))
	for _, l := range w.workloads {
		subjects = append(subjects, w.subject(l))
	}
	h := fnv.New64a()
	fmt.Fprint(h, subjects)
	if sum := h.Sum64(); sum == w.planned {
		return nil
	} else {
		w.planned = sum
	}
	existing := dns.Snapshot{Sets: w.zone.Sets()}
	published := dns.Published(existing, "earth")
	for i := range subjects {
		subjects[i].Published = published[subjects[i].Owner.Ref]
	}
	held, suspicion := dns.Brake(subjects)
	if w.suspect != (suspicion != nil) {
		w.suspect = suspicion != nil
		w.note("brake: %v", w.suspect)
	}
	in := dns.PlanInput{Federation: "earth", Epoch: 1, Zone: dns.Zone{Name: zoneName}, Known: map[string]bool{}, Existing: existing}
	for _, s := range held {
		answer := dns.Records(s, dns.Limits{})
		in.Claims = append(in.Claims, answer.Claims...)
		in.Known[s.Owner.Ref] = true
	}
	plan := dns.MakePlan(in)
	if len(plan.Conflicts)+len(plan.Held)+len(plan.Orphans) > 0 {
		return fmt.Errorf("plan: %+v", plan)
	}
	removed, added, failed, err := w.zone.Apply(dns.Fence{Federation: "earth", Holder: "simulation", Epoch: 1}, plan.Changes)
	if err != nil || len(failed) > 0 {
		return fmt.Errorf("writing the zone: %w, %+v", err, failed)
	}
	if len(removed)+len(added) > 0 {
		w.rewritten = w.second
		for _, l := range w.workloads {
			w.note("dns %s: %v", l.name, w.answer(l))
		}
	}
	return nil
}

// answer are the addresses of a workload's global name.
func (w *World) answer(l *workload) []string {
	name := w.subject(l).Names.Global()
	for _, s := range w.zone.At(name) {
		if s.Type == dns.A {
			return s.Data
		}
	}
	return nil
}
