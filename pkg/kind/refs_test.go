package kind

import (
	"encoding/json"
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
    serviceAccountName: runner
    serviceAccount: runner
    imagePullSecrets: [{name: pull}]
    initContainers:
    - envFrom: [{secretRef: {name: init, optional: true}}, {configMapRef: {name: init-settings, optional: true}}]
    containers:
    - env:
      - {name: A, value: plain}
      - {name: B, valueFrom: {secretKeyRef: {name: env, key: b}}}
      - {name: C, valueFrom: {configMapKeyRef: {name: settings, key: c}}}
      - {name: D, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      envFrom: [{prefix: x, secretRef: {name: env}}, {configMapRef: {name: settings}}]
    ephemeralContainers:
    - envFrom: [{secretRef: {name: debug}}]
    volumes:
    - {name: v1, secret: {secretName: volume}}
    - {name: v2, projected: {sources: [{secret: {name: projected}}, {configMap: {name: more}}, {serviceAccountToken: {path: t}}]}}
    - {name: v3, csi: {driver: d, nodePublishSecretRef: {name: csi}}}
    - {name: v4, cephfs: {secretRef: {name: ceph}}}
    - {name: v5, configMap: {name: files}}
    - {name: v6, persistentVolumeClaim: {claimName: data}}
    - {name: v7, azureFile: {secretName: azure}}
    - {name: v8, ephemeral: {volumeClaimTemplate: {metadata: {name: no}}}}
`

func words(refs []Ref) []string {
	var words []string
	for _, r := range refs {
		words = append(words, r.String())
	}
	return words
}

func TestRefs(t *testing.T) {
	inPod := []string{
		"ConfigMap/files", "ConfigMap/init-settings", "ConfigMap/more", "ConfigMap/settings", "PersistentVolumeClaim/data",
		"Secret/azure", "Secret/ceph", "Secret/csi", "Secret/debug", "Secret/env", "Secret/init", "Secret/projected", "Secret/pull", "Secret/volume",
		"ServiceAccount/runner",
	}
	for name, test := range map[string]struct {
		kind Kind
		yaml string
		want []string
	}{
		"deployment": {kindFor("apps", "Deployment"), "spec:\n template:\n  spec:" + podSpec, inPod},
		"cron job":   {kindFor("batch", "CronJob"), "spec: {jobTemplate: {spec: {template: {spec: {imagePullSecrets: [{name: a}]}}}}}", []string{"Secret/a"}},
		"stateful set: claims from templates are no dependencies": {kindFor("apps", "StatefulSet"),
			"spec: {volumeClaimTemplates: [{metadata: {name: data}}], template: {spec: {serviceAccount: db}}}", []string{"ServiceAccount/db"}},
		"service account default": {kindFor("apps", "Deployment"), "spec: {template: {spec: {serviceAccountName: default, serviceAccount: default}}}", nil},
		"ingress":                 {kindFor("networking.k8s.io", "Ingress"), "spec: {tls: [{secretName: b}, {secretName: a}, {hosts: [x]}, {secretName: a}]}", []string{"Secret/a", "Secret/b"}},
		"service account":         {kindFor("", "ServiceAccount"), "{secrets: [{name: s}], imagePullSecrets: [{name: p}]}", []string{"Secret/p", "Secret/s"}},
		"one name, two kinds":     {kindFor("batch", "Job"), "spec: {template: {spec: {volumes: [{secret: {secretName: a}}, {configMap: {name: a}}]}}}", []string{"ConfigMap/a", "Secret/a"}},
		"kind that needs nothing": {kindFor("", "ConfigMap"), "{secrets: [{name: s}]}", nil},
		"malformed": {kindFor("apps", "Deployment"), "spec: {template: {spec: {volumes: 3, serviceAccountName: [], containers: [1, {env: {}}, {env: [{valueFrom: []}]}, " +
			"{envFrom: [{configMapRef: x}]}], imagePullSecrets: [{name: 7}]}}}", nil},
		"empty": {kindFor("apps", "Deployment"), "{}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(test.yaml), &obj.Object); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, words(Refs(test.kind, obj))); diff != "" {
				t.Errorf("Refs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDependsOn(t *testing.T) {
	for name, test := range map[string]struct {
		user Kind
		on   schema.GroupKind
		want bool
	}{
		"workload on ConfigMap":     {kindFor("apps", "DaemonSet"), configMapKind, true},
		"workload on claim":         {kindFor("apps", "DaemonSet"), volumeClaimKind, true},
		"workload on Service":       {kindFor("apps", "DaemonSet"), schema.GroupKind{Kind: "Service"}, false},
		"ingress on Secret":         {kindFor("networking.k8s.io", "Ingress"), secretKind, true},
		"ingress on ConfigMap":      {kindFor("networking.k8s.io", "Ingress"), configMapKind, false},
		"service account on Secret": {kindFor("", "ServiceAccount"), secretKind, true},
		"ConfigMap on Secret":       {kindFor("", "ConfigMap"), secretKind, false},
	} {
		if got := DependsOn(test.user, test.on); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func FuzzRefs(f *testing.F) {
	f.Add([]byte(`{"spec":{"template":{"spec":{"volumes":[{"secret":{"secretName":"a"}},{"projected":{"sources":[{"secret":{"name":"b"}}]}}]}}}}`))
	f.Add([]byte(`{"spec":{"template":{"spec":{"serviceAccountName":"a","volumes":[{"configMap":{"name":"a"}},{"persistentVolumeClaim":{"claimName":"b"}}]}}}}`))
	f.Add([]byte(`{"spec":{"tls":[{"secretName":"a"}],"jobTemplate":{"spec":{"template":null}}},"secrets":[[]]}`))
	kinds := []Kind{kindFor("apps", "Deployment"), kindFor("batch", "CronJob"), kindFor("networking.k8s.io", "Ingress"), kindFor("", "ServiceAccount")}
	f.Fuzz(func(t *testing.T, data []byte) {
		obj := &unstructured.Unstructured{}
		if json.Unmarshal(data, &obj.Object) != nil {
			return
		}
		for _, k := range kinds {
			refs := Refs(k, obj)
			seen := map[Ref]bool{}
			for i, r := range refs {
				switch {
				case r.Name == "" || seen[r] || !DependsOn(k, r.GroupKind):
					t.Errorf("Refs of %s is %v", k.Kind, refs)
				case i > 0 && (r.Kind < refs[i-1].Kind || r.Kind == refs[i-1].Kind && r.Name < refs[i-1].Name):
					t.Errorf("Refs of %s are not sorted: %v", k.Kind, refs)
				}
				seen[r] = true
			}
		}
	})
}
