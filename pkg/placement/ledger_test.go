package placement

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

func withRoom(name string, replicas int64) Cluster {
	free := corev1.ResourceList{"cpu": *resource.NewQuantity(replicas, resource.DecimalSI), "pods": resource.MustParse("110")}
	return Cluster{Cluster: policy.Cluster{Name: name}, Ready: true, Free: []federation.FreeNodes{{Nodes: 1, Free: free}}}
}

// wanting asks for replicas of one CPU each, wherever there is room.
func wanting(i int, replicas int32, now time.Time, clusters ...Cluster) (Key, Input) {
	name := fmt.Sprintf("web-%d", i)
	object := Object{
		Reference: federation.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: name, UID: types.UID(name)},
		Divided:   true, Replicas: &replicas,
		Request: corev1.ResourceList{"cpu": resource.MustParse("1"), "pods": resource.MustParse("1")},
	}
	rule := &federation.Propagation{ReplicaDivision: &federation.ReplicaDivision{Mode: federation.DivisionDivided, Strategy: federation.StrategyFreeCapacity}}
	key := Key{deploymentKind.GroupKind(), types.NamespacedName{Namespace: "shop", Name: name}}
	return key, Input{
		Object: object, Clusters: clusters, Now: now,
		Policy: &policy.Propagation{Reference: federation.PolicyReference{Kind: "PropagationPolicy", Name: "p"}, Namespace: "shop", Rule: rule},
	}
}

// TestConcurrentDecisionsDoNotOverbook: what is decided at the same time takes all the room there is, and none twice.
func TestConcurrentDecisionsDoNotOverbook(t *testing.T) {
	var l ledger
	now := time.Now()
	var mu sync.Mutex
	fitted, got := 0, map[string]int{}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			key, in := wanting(i, 1, now, withRoom("gondor", 20), withRoom("rohan", 10))
			a, _ := l.decide(key, in)
			mu.Lock()
			defer mu.Unlock()
			if a.Decision.Missing == "" {
				fitted++
				for _, p := range a.Decision.Clusters {
					got[p.Name] += int(ptr.Deref(p.Replicas, 0))
				}
			}
		})
	}
	all.Wait()
	if fitted != 30 || got["gondor"] != 20 || got["rohan"] != 10 {
		t.Errorf("%d of 50 fit, in %v, want 30: 20 in gondor, 10 in rohan", fitted, got)
	}
}

// TestLedgerBalances: whatever is reserved, given back, seen and forgotten, totals are the sum of what is there, and
// all of it ends.
func TestLedgerBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l ledger
		now := time.Unix(1000, 0)
		decided := map[Key]*Decision{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second)
			key, in := wanting(rapid.IntRange(0, 5).Draw(t, "object"), int32(rapid.IntRange(0, 8).Draw(t, "replicas")), now, withRoom("gondor", 20), withRoom("rohan", 10))
			in.Current = decided[key]
			switch rapid.SampledFrom([]string{"decide", "fail", "ready", "observed", "forget"}).Draw(t, "step") {
			case "decide":
				a, _ := l.decide(key, in)
				decided[key] = &a.Decision
			case "fail":
				before := l.text()
				_, undo := l.decide(key, in)
				if undo(); decided[key] == nil && l.text() != before && strings.Contains(before, key.Name) {
					t.Fatalf("undone: %s, before: %s", l.text(), before)
				}
			case "ready":
				if d := decided[key]; d != nil {
					seen := &federation.PlacementDecision{Spec: *d}
					for _, p := range d.Clusters {
						seen.Status.Clusters = append(seen.Status.Clusters, federation.ClusterState{Name: p.Name, State: federation.StateSynced, ReadyReplicas: p.Replicas})
					}
					l.seen(key, seen, now)
				}
			case "observed":
				l.observed("gondor", now)
			case "forget":
				l.forget(key)
				delete(decided, key)
			}
			for name, a := range l.clusters {
				sum := int64(0)
				for _, r := range a.by {
					sum += r.replicas
				}
				if cpu := a.total["cpu"]; cpu.Value() != sum || sum == 0 {
					t.Fatalf("%s: %s CPUs are reserved in all, %d one by one", name, &cpu, sum)
				}
			}
		}
		l.view(nil, now.Add(reservedFor))
		if len(l.clusters) > 0 {
			t.Fatalf("left after all time has passed: %s", l.text())
		}
	})
}

func (l *ledger) text() string {
	var b strings.Builder
	for name, a := range l.clusters {
		for key, r := range a.by {
			fmt.Fprintf(&b, "%s/%s:%d ", name, key.Name, r.replicas)
		}
	}
	return b.String()
}

func TestReservationEndsWhenItIsObserved(t *testing.T) {
	var l ledger
	now := time.Unix(1000, 0)
	key, in := wanting(1, 3, now, withRoom("gondor", 20))
	a, _ := l.decide(key, in)
	state := federation.ClusterState{Name: "gondor", State: federation.StateSynced, ReadyReplicas: ptr.To[int32](2)}
	seen := &federation.PlacementDecision{Spec: a.Decision, Status: federation.PlacementDecisionStatus{Clusters: []federation.ClusterState{state}}}
	held := func(want bool) {
		t.Helper()
		if got := len(l.clusters) > 0; got != want {
			t.Errorf("reserved: %v (%s), want %v", got, l.text(), want)
		}
	}
	l.seen(key, seen, now)
	l.observed("gondor", now.Add(10*time.Second)) // one replica is on its way still
	held(true)
	seen.Status.Clusters[0].ReadyReplicas = ptr.To[int32](3)
	l.seen(key, seen, now.Add(20*time.Second))
	l.observed("gondor", now.Add(20*time.Second)) // observed before that, perhaps
	l.observed("rohan", now.Add(40*time.Second))
	held(true)
	l.observed("gondor", now.Add(30*time.Second))
	held(false)
}
