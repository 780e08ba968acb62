package main

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// replacement compares the re-placement of a dead cluster's replicas with the same writes done directly.
type replacement struct {
	Deployments int     `json:"deployments"`
	Direct      float64 `json:"directSeconds"`
	Federated   float64 `json:"federatedSeconds"`
}

// scale is the write that a re-placement makes in each living member.
func scale(ctx context.Context, s *server, namespace, name string) error {
	_, err := s.client.AppsV1().Deployments(namespace).Patch(ctx, name, types.StrategicMergePatchType, []byte(`{"spec":{"replicas":9}}`), metav1.PatchOptions{})
	return err
}

// failover measures how long it takes until a third of the replicas of many Deployments are elsewhere, from the moment when it is
// known that their cluster is down to the last write's arrival in the two others. The cluster really falls silent; that it is down
// a taint says, since nobody else could confirm it here. No budget holds such a move back, and nothing is forgiven
// (--default-down-toleration=0s).
func (b *bench) failover(ctx context.Context, r *result) error {
	if b.moves == 0 {
		return nil
	}
	fmt.Fprintf(b.progress, "%d Deployments re-placed\n", b.moves)
	dead, living, lookouts := b.members[2], b.members[:2], b.lookouts[:2]
	directly := func(namespace string) (float64, error) {
		list := names("m", b.moves)
		for _, m := range living {
			if err := ensureNamespace(ctx, m, namespace); err != nil {
				return 0, err
			}
		}
		if err := load(ctx, b.writers, living, namespace, list, create); err != nil {
			return 0, err
		}
		if err := b.quiet(ctx, time.Second, b.idle); err != nil {
			return 0, err
		}
		e, start := expect(lookouts, namespace, list, changed), time.Now()
		if err := load(ctx, b.writers, living, namespace, list, scale); err != nil {
			return 0, err
		}
		last, err := e.met(ctx)
		return last.Sub(start).Seconds(), err
	}
	before, err := directly("moved-before")
	if err != nil {
		return err
	}
	const namespace = "moved"
	if err := ensureNamespace(ctx, b.federation, namespace); err != nil {
		return err
	}
	list := names("m", b.moves)
	there := expect(b.lookouts, namespace, list, present)
	if err := load(ctx, b.writers, []*server{b.federation}, namespace, list, create); err != nil {
		return err
	}
	if _, err := there.met(ctx); err != nil {
		return err
	}
	if err := b.quiet(ctx, federatedTail, b.idle); err != nil {
		return err
	}
	moved := expect(lookouts, namespace, list, changed)
	if err := dead.command.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stopping %s: %w", dead.name, err)
	}
	defer dead.command.Process.Signal(syscall.SIGCONT)
	if err := b.notReady(ctx, dead.name); err != nil {
		return err
	}
	start := time.Now()
	taint := []byte(`{"spec":{"taints":[{"key":"` + federation.TaintDown + `","effect":"NoExecute"}]}}`)
	if err := b.cluster(dead.name).patch(ctx, taint); err != nil {
		return err
	}
	last, err := moved.met(ctx)
	if err != nil {
		return fmt.Errorf("re-placing: %w", err)
	}
	federated := last.Sub(start).Seconds()
	after, err := directly("moved-after")
	if err != nil {
		return err
	}
	r.Replacement = &replacement{Deployments: b.moves, Direct: (before + after) / 2, Federated: federated}
	return nil
}

// member is a Cluster of the federation API.
type member struct {
	server *server
	path   string
}

func (b *bench) cluster(name string) member {
	return member{b.federation, "/apis/" + federation.GroupVersion.String() + "/clusters/" + name}
}

func (m member) patch(ctx context.Context, patch []byte) error {
	if err := m.server.client.Discovery().RESTClient().Patch(types.MergePatchType).AbsPath(m.path).Body(patch).Do(ctx).Error(); err != nil {
		return fmt.Errorf("changing %s: %w", m.path, err)
	}
	return nil
}

// notReady waits until the federation has noticed that a member is silent.
func (b *bench) notReady(ctx context.Context, name string) error {
	m := b.cluster(name)
	for {
		data, err := m.server.client.Discovery().RESTClient().Get().AbsPath(m.path).DoRaw(ctx)
		if err != nil {
			return fmt.Errorf("reading %s: %w", m.path, err)
		}
		var c federation.Cluster
		if err := json.Unmarshal(data, &c); err != nil {
			return fmt.Errorf("reading %s: %w", m.path, err)
		}
		if v := c.Status.Verdict; v != nil && v.State != federation.VerdictReady && v.State != federation.VerdictDegraded {
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for %s to be found silent: %w", name, err)
		}
	}
}
