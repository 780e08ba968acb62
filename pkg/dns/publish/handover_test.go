package publish

import (
	"testing"
	"time"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

// TestDrainHandsOver: a drained cluster's addresses stay until as many pods are ready elsewhere, leave, and stay out over a restart.
func TestDrainHandsOver(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	b := newBench(t, p, "gondor", "rohan")
	b.start()
	web, now := service("web"), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	moves := handovers{}
	see := func(gondor, rohan, starting int32) (*entry, time.Duration) {
		t.Helper()
		one, two := at("gondor", dns.Healthy, "192.0.2.1"), at("rohan", dns.Healthy, "192.0.2.2")
		one.Ready, one.Weight, two.Ready, two.Weight, two.Starting = &gondor, uint32(gondor), ptr.To(rohan), uint32(rohan), starting
		e := b.facts.entryOf(web, []Observed{one, two})
		again := moves.keep(e, now)
		b.worker.mark(b.board.put(map[string]*entry{web.Ref(): e}, nil)...)
		return e, again
	}
	global, own := b.names(web).Global(), b.names(web).Cluster("gondor")
	see(2, 2, 0)
	b.answers(p, global, "192.0.2.1", "192.0.2.2")
	b.facts.clusters[0].Draining = true
	if e, again := see(2, 2, 2); e.observed[0].Reason != federation.EndpointHandingOver || again <= 0 {
		t.Errorf("it is %s, again after %s", e.observed[0].Reason, again)
	}
	b.answers(p, global, "192.0.2.1", "192.0.2.2")
	now = now.Add(time.Minute)
	if e, _ := see(2, 3, 1); e.observed[0].Message != "the cluster is being drained, and answers until as much is ready elsewhere: 3 of 4" {
		t.Error(e.observed[0].Message)
	}
	see(2, 4, 0)
	b.answers(p, global, "192.0.2.2")
	b.answers(p, own, "192.0.2.1")
	see(0, 3, 1) // one in rohan restarts
	b.answers(p, global, "192.0.2.2")

	moves = handovers{}
	moves.recall(web.Key, []federation.ClusterEndpoint{{Name: "gondor", State: "Draining"}, {Name: "rohan", State: "Healthy", Published: true}})
	if e, _ := see(2, 2, 2); e.observed[0].Reason != reasonDrain || e.subject.Endpoints[0].Kept {
		t.Errorf("after a restart it is %+v", e.observed[0])
	}
	b.answers(p, global, "192.0.2.2")

	b.facts.clusters[0].Draining = false
	see(2, 2, 0)
	b.answers(p, global, "192.0.2.1", "192.0.2.2")
	if len(moves) > 0 {
		t.Errorf("%v is left of a drain that ended", moves)
	}
}
