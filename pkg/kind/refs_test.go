package kind

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

func kindFor(group, name string) Kind {
	gk := schema.GroupKind{Group: group, Kind: name}
	return Kind{GroupVersionKind: gk.WithVersion("v1"), Rule: RuleOf(gk)}
}

const podSpec = `
    imagePullSecrets: [{name: pull}]
    initContainers:
    - envFrom: [{secretRef: {name: init}}, {configMapRef: {name: no}}]
    containers:
    - env:
      - {name: A, value: plain}
      - {name: B, valueFrom: {secretKeyRef: {name: env, key: b}}}
      - {name: C, valueFrom: {configMapKeyRef: {name: no, key: c}}}
      envFrom: [{prefix: x, secretRef: {name: env}}]
    ephemeralContainers:
    - envFrom: [{secretRef: {name: debug}}]
    volumes:
    - {name: v1, secret: {secretName: volume}}
    - {name: v2, projected: {sources: [{secret: {name: projected}}, {configMap: {name: no}}]}}
    - {name: v3, csi: {driver: d, nodePublishSecretRef: {name: csi}}}
    - {name: v4, cephfs: {secretRef: {name: ceph}}}
    - {name: v5, configMap: {name: no}}
`

func TestSecretRefs(t *testing.T) {
	inPod := []string{"ceph", "csi", "debug", "env", "init", "projected", "pull", "volume"}
	for name, test := range map[string]struct {
		kind Kind
		yaml string
		want []string
	}{
		"deployment":           {kindFor("apps", "Deployment"), "spec:\n template:\n  spec:" + podSpec, inPod},
		"cron job":             {kindFor("batch", "CronJob"), "spec: {jobTemplate: {spec: {template: {spec: {imagePullSecrets: [{name: a}]}}}}}", []string{"a"}},
		"ingress":              {kindFor("networking.k8s.io", "Ingress"), "spec: {tls: [{secretName: b}, {secretName: a}, {hosts: [x]}, {secretName: a}]}", []string{"a", "b"}},
		"service account":      {kindFor("", "ServiceAccount"), "{secrets: [{name: s}], imagePullSecrets: [{name: p}]}", []string{"p", "s"}},
		"kind without secrets": {kindFor("", "ConfigMap"), "{secrets: [{name: s}]}", nil},
		"malformed":            {kindFor("apps", "Deployment"), "spec: {template: {spec: {volumes: 3, containers: [1, {env: {}}, {env: [{valueFrom: []}]}], imagePullSecrets: [{name: 7}]}}}", nil},
		"empty":                {kindFor("apps", "Deployment"), "{}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(test.yaml), &obj.Object); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, SecretRefs(test.kind, obj)); diff != "" {
				t.Errorf("SecretRefs (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzSecretRefs(f *testing.F) {
	f.Add([]byte(`{"spec":{"template":{"spec":{"volumes":[{"secret":{"secretName":"a"}},{"projected":{"sources":[{"secret":{"name":"b"}}]}}]}}}}`))
	f.Add([]byte(`{"spec":{"tls":[{"secretName":"a"}],"jobTemplate":{"spec":{"template":null}}},"secrets":[[]]}`))
	kinds := []Kind{kindFor("apps", "Deployment"), kindFor("batch", "CronJob"), kindFor("networking.k8s.io", "Ingress"), kindFor("", "ServiceAccount")}
	f.Fuzz(func(t *testing.T, data []byte) {
		obj := &unstructured.Unstructured{}
		if json.Unmarshal(data, &obj.Object) != nil {
			return
		}
		for _, k := range kinds {
			refs := SecretRefs(k, obj)
			if !slices.IsSorted(refs) || slices.Contains(refs, "") {
				t.Errorf("SecretRefs of %s is %q", k.Kind, refs)
			}
		}
	})
}
