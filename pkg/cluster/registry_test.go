package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// engagement records what an engager is told.
type engagement struct {
	mu      sync.Mutex
	members []*Member
	ctxs    []context.Context
}

func (e *engagement) Engage(ctx context.Context, m *Member) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.members, e.ctxs = append(e.members, m), append(e.ctxs, ctx)
}

func (e *engagement) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.members)
}

// eventually waits until check returns no reason to wait, and says the last one when it gives up.
func eventually(t *testing.T, timeout time.Duration, check func() string) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s: %s", timeout, why)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func newRegistry(t *testing.T) *Registry {
	r := NewRegistry()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (f *fakeMember) objects(token string) (*federation.Cluster, *corev1.Secret) {
	cluster := &federation.Cluster{}
	cluster.Name = "gondor"
	cluster.Spec = federation.ClusterSpec{Server: f.URL, SecretName: "cluster-gondor", ClusterID: "id-1"}
	return cluster, clusterSecret("gondor", token, []byte(f.ca()))
}

func engaged(e *engagement, want int) func() string {
	return func() string {
		if e.count() != want {
			return "engagements are not as many as wanted"
		}
		return ""
	}
}

func TestRegistryFollowsOneCluster(t *testing.T) {
	f := newFakeMember(t)
	r := newRegistry(t)
	early, late := &engagement{}, &engagement{}
	r.Add(early)
	if _, err := r.Get("gondor"); !errors.Is(err, ErrUnknown) {
		t.Fatalf("before it joined: %v", err)
	}

	r.update(f.objects("one"))
	eventually(t, 5*time.Second, engaged(early, 1))
	m, err := r.Get("gondor")
	if err != nil || m.ID != "id-1" || m != early.members[0] {
		t.Fatalf("got %+v, %v", m, err)
	}
	r.Add(late)
	if late.count() != 1 {
		t.Error("who comes later is not told of members that are live")
	}

	r.update(f.objects("two"))
	if again, err := r.Get("gondor"); err != nil || again != m || early.ctxs[0].Err() != nil {
		t.Errorf("another token made another connection: %v", err)
	}

	g := newFakeMember(t)
	r.update(g.objects("two"))
	if early.ctxs[0].Err() == nil {
		t.Error("the connection to the old server did not end")
	}
	eventually(t, 5*time.Second, engaged(early, 2))

	cluster, _ := g.objects("two")
	r.update(cluster, nil)
	if _, err := r.Get("gondor"); !errors.Is(err, ErrUnknown) || early.ctxs[1].Err() == nil {
		t.Errorf("without a Secret the member is still there: %v", err)
	}
	if _, problem := r.connection("gondor"); problem == nil {
		t.Error("nobody says why there is no connection")
	}

	r.update(g.objects("three"))
	eventually(t, 5*time.Second, engaged(early, 3))
	r.remove("gondor")
	if _, err := r.Get("gondor"); !errors.Is(err, ErrUnknown) || early.ctxs[2].Err() == nil || late.ctxs[2].Err() == nil {
		t.Errorf("a member that left is still there: %v", err)
	}
}

func TestRegistryRefusesWrongCluster(t *testing.T) {
	f := newFakeMember(t)
	f.answer(&f.identity, identityOf("id-2"))
	r := newRegistry(t)
	e := &engagement{}
	r.Add(e)
	r.update(f.objects("one"))
	conn, _ := r.connection("gondor")
	if got, _ := conn.probe(t.Context(), 5*time.Second, true); got != AnswerWrongCluster {
		t.Fatalf("got %s", answerLabels[got])
	}
	if e.count() != 0 {
		t.Fatal("another cluster was engaged")
	}
	// The right one comes up at the address.
	f.answer(&f.identity, identityOf("id-1"))
	eventually(t, 5*time.Second, engaged(e, 1))
	// And goes again: whoever finds out makes the registry doubt.
	f.answer(&f.identity, identityOf("id-2"))
	conn, _ = r.connection("gondor")
	r.doubt(conn)
	if _, err := r.Get("gondor"); !errors.Is(err, ErrUnknown) || e.ctxs[0].Err() == nil {
		t.Errorf("a doubtful member is still engaged: %v", err)
	}
}

func TestRegistryEndsConnectionsWhenItEnds(t *testing.T) {
	f := newFakeMember(t)
	r := NewRegistry()
	e := &engagement{}
	r.Add(e)
	r.update(f.objects("one"))
	eventually(t, 5*time.Second, engaged(e, 1))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Start(ctx); err != nil || e.ctxs[0].Err() == nil {
		t.Errorf("the connection outlives the registry (%v)", err)
	}
	r.update(f.objects("one"))
	if _, err := r.Get("gondor"); !errors.Is(err, ErrUnknown) {
		t.Error("a registry that ended connects")
	}
}
