package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

func object(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	data, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.UnmarshalJSON(data); err != nil { // integers as int64
		t.Fatal(err)
	}
	return u
}

func kindOf(u *unstructured.Unstructured) kind.Kind {
	gvk := u.GroupVersionKind()
	return kind.Kind{GroupVersionKind: gvk, Namespaced: true, Rule: kind.RuleOf(gvk.GroupKind())}
}

func int32p(n int32) *int32 { return &n }

func TestRender(t *testing.T) {
	for _, test := range []struct {
		name     string
		in, want string
		r        Target
	}{{
		name: "a Deployment gets its share and loses what is the federation API's",
		in: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, uid: u1, resourceVersion: "7", generation: 3,
  finalizers: [federation.kubefed.dev/members], labels: {app: web}, ownerReferences: [{name: x}],
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}", federation.kubefed.dev/on-conflict: adopt, note: mine}},
  spec: {replicas: 9, template: {spec: {containers: [{name: c}]}}}, status: {replicas: 9}}`,
		r: Target{Federation: "fellowship", Placement: federation.ClusterPlacement{Replicas: int32p(3)}},
		want: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop,
  labels: {app: web, federation.kubefed.dev/federation: fellowship}, annotations: {federation.kubefed.dev/origin-uid: u1, note: mine}},
  spec: {replicas: 3, template: {spec: {containers: [{name: c}]}}}}`,
	}, {
		name: "replicas of an autoscaler stay its own",
		in:   `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, uid: u1}, spec: {replicas: 9, paused: true}}`,
		r:    Target{Federation: "f", Placement: federation.ClusterPlacement{Replicas: int32p(3)}, KeepReplicas: true},
		want: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {paused: true}}`,
	}, {
		name: "a Service's addresses are each member's own",
		in:   `{apiVersion: v1, kind: Service, metadata: {name: web, uid: u1}, spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ports: [{port: 80}]}}`,
		r:    Target{Federation: "f"},
		want: `{apiVersion: v1, kind: Service, metadata: {name: web, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {ports: [{port: 80}]}}`,
	}, {
		name: "a headless Service stays headless",
		in:   `{apiVersion: v1, kind: Service, metadata: {name: web, uid: u1}, spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80}]}}`,
		r:    Target{Federation: "f"},
		want: `{apiVersion: v1, kind: Service, metadata: {name: web, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {clusterIP: None, ports: [{port: 80}]}}`,
	}, {
		name: "a Job loses the generated selector",
		in: `{apiVersion: batch/v1, kind: Job, metadata: {name: sums, uid: u1}, spec: {parallelism: 4, completions: 8, selector: {matchLabels: {batch.kubernetes.io/controller-uid: u1}},
  template: {metadata: {labels: {app: sums, batch.kubernetes.io/controller-uid: u1, controller-uid: u1, job-name: sums, batch.kubernetes.io/job-name: sums}}, spec: {}}}}`,
		r: Target{Federation: "f", Placement: federation.ClusterPlacement{Replicas: int32p(2), Completions: int32p(4)}},
		want: `{apiVersion: batch/v1, kind: Job, metadata: {name: sums, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {parallelism: 2, completions: 4, template: {metadata: {labels: {app: sums}}, spec: {}}}}`,
	}, {
		name: "a Job without labels of its own gets none",
		in: `{apiVersion: batch/v1, kind: Job, metadata: {name: sums, uid: u1}, spec: {selector: {matchLabels: {batch.kubernetes.io/controller-uid: u1}},
  template: {metadata: {labels: {controller-uid: u1, job-name: sums}}, spec: {}}}}`,
		r: Target{Federation: "f"},
		want: `{apiVersion: batch/v1, kind: Job, metadata: {name: sums, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {template: {spec: {}}}}`,
	}, {
		name: "a Job with a selector of its own keeps it",
		in:   `{apiVersion: batch/v1, kind: Job, metadata: {name: sums, uid: u1}, spec: {manualSelector: true, selector: {matchLabels: {a: b}}}}`,
		r:    Target{Federation: "f"},
		want: `{apiVersion: batch/v1, kind: Job, metadata: {name: sums, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {manualSelector: true, selector: {matchLabels: {a: b}}}}`,
	}, {
		name: "a StatefulSet starts where its member's ordinals do",
		in:   `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, uid: u1}, spec: {replicas: 9, serviceName: db}}`,
		r:    Target{Federation: "f", Placement: federation.ClusterPlacement{Replicas: int32p(3)}, OrdinalStart: int32p(1000)},
		want: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {replicas: 3, serviceName: db, ordinals: {start: 1000}}}`,
	}, {
		name: "ordinals that start at 0 need not be told",
		in:   `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, uid: u1}, spec: {replicas: 9}}`,
		r:    Target{Federation: "f", Placement: federation.ClusterPlacement{Replicas: int32p(3)}, OrdinalStart: int32p(0)},
		want: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {replicas: 3}}`,
	}, {
		name: "but are where the object said otherwise",
		in:   `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, uid: u1}, spec: {replicas: 9, ordinals: {start: 7}}}`,
		r:    Target{Federation: "f", OrdinalStart: int32p(0)},
		want: `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, labels: {federation.kubefed.dev/federation: f},
  annotations: {federation.kubefed.dev/origin-uid: u1}}, spec: {replicas: 9, ordinals: {start: 0}}}`,
	}} {
		t.Run(test.name, func(t *testing.T) {
			in := object(t, test.in)
			before := in.DeepCopy()
			got, err := Object(kindOf(in), in, test.r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, test.want).Object, got.Object); diff != "" {
				t.Errorf("rendered (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before.Object, in.Object); diff != "" {
				t.Errorf("the federated object was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestTargetIn(t *testing.T) {
	d := &federation.PlacementDecision{Spec: federation.PlacementDecisionSpec{
		Clusters: []federation.ClusterPlacement{{Name: "gondor", Replicas: int32p(2)}, {Name: "rohan"}},
		Ordinals: []federation.OrdinalStart{{Name: "gondor", Start: 5}, {Name: "shire", Start: 1000}},
	}}
	if got, ok := TargetIn(d, "gondor"); !ok || *got.Placement.Replicas != 2 || *got.OrdinalStart != 5 {
		t.Errorf("gondor: %+v, %v", got, ok)
	}
	if got, ok := TargetIn(d, "rohan"); !ok || got.OrdinalStart != nil {
		t.Errorf("rohan: %+v, %v", got, ok)
	}
	if _, ok := TargetIn(d, "shire"); ok {
		t.Error("shire is a target, though only its ordinals are left in the decision")
	}
}
