package sync

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func typesUID(s string) types.UID { return types.UID(s) }

func uids(list []string) (out []types.UID) {
	for _, s := range list {
		out = append(out, types.UID(s))
	}
	return out
}

func TestFold(t *testing.T) {
	for _, test := range []struct {
		name       string
		gk         schema.GroupKind
		generation int64
		previous   string
		reports    []string // status of clusters a, b, ...; a leading "!" means not current
		want       string
	}{{
		name: "a Deployment's numbers add up and the worst condition counts", gk: deployments, generation: 4, previous: `{observedGeneration: 3}`,
		reports: []string{
			`{replicas: 3, readyReplicas: 3, updatedReplicas: 3, availableReplicas: 3, observedGeneration: 9, conditions: [{type: Available, status: "True", reason: MinimumReplicasAvailable, message: fine}]}`,
			`{replicas: 2, readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1, unavailableReplicas: 1, observedGeneration: 1, conditions: [{type: Available, status: "False", reason: MinimumReplicasUnavailable, message: short}]}`,
		},
		want: `{observedGeneration: 4, replicas: 5, readyReplicas: 4, updatedReplicas: 5, availableReplicas: 4, unavailableReplicas: 1,
  conditions: [{type: Available, status: "False", reason: MinimumReplicasUnavailable, message: "cluster b: short"}]}`,
	}, {
		name: "observedGeneration waits for the last cluster", gk: deployments, generation: 4, previous: `{observedGeneration: 3}`,
		reports: []string{`{replicas: 1}`, `!{replicas: 1}`}, want: `{observedGeneration: 3, replicas: 2}`,
	}, {
		name: "a StatefulSet's revisions meet when every cluster's have", gk: schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, generation: 1,
		reports: []string{`{replicas: 1, currentRevision: r2, updateRevision: r2}`, `{replicas: 1, currentRevision: r1, updateRevision: r2}`},
		want:    `{observedGeneration: 1, replicas: 2, availableReplicas: 0, currentRevision: r1, updateRevision: r2, collisionCount: 0}`,
	}, {
		name: "a Job is complete with the last cluster", gk: jobs, generation: 1,
		reports: []string{
			`{succeeded: 2, startTime: "2026-01-01T00:00:01Z", completionTime: "2026-01-01T00:00:05Z", conditions: [{type: SuccessCriteriaMet, status: "True"}, {type: Complete, status: "True"}]}`,
			`{active: 1, startTime: "2026-01-01T00:00:00Z"}`,
		},
		want: `{succeeded: 2, active: 1, startTime: "2026-01-01T00:00:00Z"}`,
	}, {
		name: "a Service lists each address once", gk: schema.GroupKind{Kind: "Service"},
		reports: []string{`{loadBalancer: {ingress: [{ip: 127.0.0.1}]}}`, `{loadBalancer: {}}`, `{loadBalancer: {ingress: [{hostname: lb.example}, {ip: 127.0.0.1}]}}`},
		want:    `{loadBalancer: {ingress: [{ip: 127.0.0.1}, {hostname: lb.example}]}}`,
	}, {
		name: "a claim is bound when bound everywhere", gk: schema.GroupKind{Kind: "PersistentVolumeClaim"},
		reports: []string{`{phase: Bound, capacity: {storage: 1Gi}}`, `{phase: Pending}`}, want: `{phase: Pending, capacity: {storage: 1Gi}}`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			var reports []Report
			for i, text := range test.reports {
				r := Report{Cluster: string(rune('a' + i)), Current: text[0] != '!'}
				if !r.Current {
					text = text[1:]
				}
				r.Status = object(t, "{kind: X, status: "+text+"}").Object["status"].(map[string]any)
				reports = append(reports, r)
			}
			previous := map[string]any{}
			if test.previous != "" {
				previous = object(t, "{kind: X, status: "+test.previous+"}").Object["status"].(map[string]any)
			}
			got := Fold(test.gk, test.generation, previous, reports)
			want := object(t, "{kind: X, status: "+test.want+"}").Object["status"]
			if diff := cmp.Diff(want, any(got)); diff != "" {
				t.Errorf("folded (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFoldProperties: folding its own result again changes nothing, and observedGeneration never goes back.
func TestFoldProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Int64Range(0, 9)
		status := rapid.SampledFrom([]string{"True", "False", "Unknown"})
		var reports []Report
		for i := range rapid.IntRange(0, 5).Draw(t, "clusters") {
			reports = append(reports, Report{Cluster: string(rune('a' + i)), Current: rapid.Bool().Draw(t, "current"), Status: map[string]any{
				"replicas": number.Draw(t, "replicas"), "readyReplicas": number.Draw(t, "ready"),
				"conditions": []any{map[string]any{"type": "Available", "status": status.Draw(t, "available"), "reason": "R", "message": "m"}},
			}})
		}
		previous := map[string]any{"observedGeneration": number.Draw(t, "seen")}
		generation := number.Draw(t, "generation") + 9
		first := Fold(deployments, generation, previous, reports)
		second := Fold(deployments, generation, first, reports)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("folding again changed it:\n%s", diff)
		}
		if first["observedGeneration"] != nil && first["observedGeneration"].(int64) < previous["observedGeneration"].(int64) {
			t.Error("observedGeneration went back")
		}
	})
}
