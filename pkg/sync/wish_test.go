package sync

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
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

func int32p(n int32) *int32 { return &n }

func TestOwnedDigest(t *testing.T) {
	config := object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, labels: {app: web}},
  spec: {replicas: 3, template: {spec: {containers: [{name: c, image: nginx, ports: [{containerPort: 80, protocol: TCP}], resources: {}}], finalizers: [a, b]}}}}`)
	const fields = `
    - {manager: kubefed, operation: Apply, fieldsV1: {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers":
      {'k:{"name":"c"}': {".": {}, "f:name": {}, "f:image": {}, "f:resources": {}, "f:ports": {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}}}}},
      "f:finalizers": {'v:"a"': {}, 'v:"b"': {}}}}}}}
    - {manager: kubelet, operation: Update, subresource: status, fieldsV1: {"f:status": {}}}`
	live := func(spec string) *unstructured.Unstructured {
		return object(t, `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  uid: u7
  labels: {app: web, injected: "yes"}
  managedFields:`+fields+`
spec: `+spec)
	}
	for _, test := range []struct {
		name, spec string
		same       bool
	}{
		{"defaults, an injected sidecar and a foreign set element do not count", `{replicas: 3, paused: false, template: {spec: {restartPolicy: Always, finalizers: [z, a, b],
      containers: [{name: sidecar, image: proxy}, {name: c, image: nginx, imagePullPolicy: Always, resources: {}, ports: [{containerPort: 80, protocol: TCP}, {containerPort: 9, protocol: TCP}]}]}}}`, true},
		{"another image does", `{replicas: 3, template: {spec: {finalizers: [a, b], containers: [{name: c, image: evil, resources: {}, ports: [{containerPort: 80, protocol: TCP}]}]}}}`, false},
		{"a missing port does", `{replicas: 3, template: {spec: {finalizers: [a, b], containers: [{name: c, image: nginx, resources: {}}]}}}`, false},
		{"a missing container does", `{replicas: 3, template: {spec: {finalizers: [a, b], containers: []}}}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := OwnedDigest(live(test.spec), federation.FieldManager)
			if !ok {
				t.Fatal("no fields of the federation's found")
			}
			if same := got == DigestOf(config); same != test.same {
				t.Errorf("equal to the applied configuration: %v, want %v", same, test.same)
			}
		})
	}
	if _, ok := OwnedDigest(object(t, `{kind: X, metadata: {managedFields: [{manager: kubectl, operation: Apply, fieldsV1: {}}]}}`), federation.FieldManager); ok {
		t.Error("found fields of the federation's where another manager applied")
	}
}

func FuzzOwnedDigest(f *testing.F) {
	f.Add(`{"metadata":{"managedFields":[{"manager":"kubefed","operation":"Apply","fieldsV1":{"f:spec":{"k:{\"a\":1}":{},"v:2":{},"i:0":{}}}}]},"spec":[1,{"a":1}]}`)
	f.Add(`{"metadata":{"managedFields":[{"manager":"kubefed","operation":"Apply","fieldsV1":{"f:spec":{"v:{}":{},"k:[]":{}}}}]},"spec":[{},[],null]}`)
	f.Fuzz(func(t *testing.T, text string) {
		u := &unstructured.Unstructured{}
		if !decode(text, &u.Object) {
			t.Skip("not JSON")
		}
		a, okA := OwnedDigest(u, federation.FieldManager)
		b, okB := OwnedDigest(u, federation.FieldManager)
		if a != b || okA != okB {
			t.Error("two digests of one object differ")
		}
	})
}

func TestWanted(t *testing.T) {
	obj := object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, uid: new}}`)
	deleting := object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, uid: new, deletionTimestamp: "2026-01-01T00:00:00Z"}}`)
	decided := func(uid string, clusters ...string) *federation.PlacementDecision {
		d := &federation.PlacementDecision{}
		d.Spec.Object.UID = typesUID(uid)
		for _, c := range clusters {
			d.Spec.Clusters = append(d.Spec.Clusters, federation.ClusterPlacement{Name: c})
		}
		return d
	}
	for _, test := range []struct {
		name      string
		obj       *unstructured.Unstructured
		federated bool
		decision  *federation.PlacementDecision
		buried    []string
		verb      Verb
		uid       string
	}{
		{name: "placed here", obj: obj, federated: true, decision: decided("new", "gondor"), verb: Apply},
		{name: "placed elsewhere", obj: obj, federated: true, decision: decided("new", "rohan"), verb: Remove, uid: "new"},
		{name: "not decided yet", obj: obj, federated: true, verb: Leave},
		{name: "decided for a former object of the name", obj: obj, federated: true, decision: decided("old", "rohan"), verb: Leave},
		{name: "being deleted", obj: deleting, federated: true, decision: decided("new", "gondor"), verb: Remove, uid: "new"},
		{name: "no longer federated", obj: obj, decision: decided("new", "gondor"), verb: Remove, uid: "new"},
		{name: "gone, with a decision left", decision: decided("old", "gondor"), verb: Remove, uid: "old"},
		{name: "gone, with a tombstone", buried: []string{"old"}, verb: Remove, uid: "old"},
		{name: "nothing known", verb: Leave},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := Wanted(test.obj, test.federated, test.decision, uids(test.buried), "gondor")
			if w.Verb != test.verb || string(w.UID) != test.uid {
				t.Errorf("wished for %v %q, want %v %q", w.Verb, w.UID, test.verb, test.uid)
			}
		})
	}
}

var deployments = schema.GroupKind{Group: "apps", Kind: "Deployment"}
