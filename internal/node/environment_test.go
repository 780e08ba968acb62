package node

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// fixed is a reader of values.
type fixed struct {
	configMaps map[string]map[string]string
	secrets    map[string]map[string]string
}

func (f fixed) configMap(_, name string) (*v1.ConfigMap, error) {
	data, ok := f.configMaps[name]
	if !ok {
		return nil, apierrors.NewNotFound(v1.Resource("configmaps"), name)
	}
	return &v1.ConfigMap{Data: data}, nil
}

func (f fixed) secret(_, name string) (*v1.Secret, error) {
	data, ok := f.secrets[name]
	if !ok {
		return nil, apierrors.NewNotFound(v1.Resource("secrets"), name)
	}
	s := &v1.Secret{Data: map[string][]byte{}}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s, nil
}

func testSetting() setting {
	return setting{
		pod: &v1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u1", Labels: map[string]string{"app": "web", "a.b/c": "d"}},
			Spec:       v1.PodSpec{NodeName: "n1", ServiceAccountName: "sa"},
		},
		at: place{hostIP: "127.0.0.1", podIP: "127.9.1.1"},
		reader: fixed{
			configMaps: map[string]map[string]string{"conf": {"k": "from map", "l": "2"}},
			secrets:    map[string]map[string]string{"sec": {"token": "s3cret"}},
		},
	}
}

func TestEnvironment(t *testing.T) {
	field := func(path string) *v1.EnvVarSource {
		return &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{FieldPath: path}}
	}
	mapKey := func(name, key string, optional bool) *v1.EnvVarSource {
		return &v1.EnvVarSource{ConfigMapKeyRef: &v1.ConfigMapKeySelector{
			LocalObjectReference: v1.LocalObjectReference{Name: name}, Key: key, Optional: &optional}}
	}
	limit := func(name, divisor string) *v1.EnvVarSource {
		return &v1.EnvVarSource{ResourceFieldRef: &v1.ResourceFieldSelector{Resource: name, Divisor: resource.MustParse(divisor)}}
	}
	for _, tc := range []struct {
		name    string
		c       v1.Container
		want    map[string]string
		wantErr string
	}{
		{name: "base", want: map[string]string{"BASE": "b"}},
		{
			name: "expansion sees what stands before",
			c:    v1.Container{Env: []v1.EnvVar{{Name: "A", Value: "$(BASE)/$(B)"}, {Name: "B", Value: "$(A)"}, {Name: "BASE", Value: "c"}}},
			want: map[string]string{"A": "b/$(B)", "B": "b/$(B)", "BASE": "c"},
		},
		{
			name: "downward API",
			c: v1.Container{Env: []v1.EnvVar{
				{Name: "IP", ValueFrom: field("status.podIP")}, {Name: "NAME", ValueFrom: field("metadata.name")},
				{Name: "NS", ValueFrom: field("metadata.namespace")}, {Name: "L", ValueFrom: field("metadata.labels['a.b/c']")},
			}},
			want: map[string]string{"BASE": "b", "IP": "127.9.1.1", "NAME": "web-0", "NS": "shop", "L": "d"},
		},
		{
			name: "resources",
			c: v1.Container{
				Resources: v1.ResourceRequirements{Limits: v1.ResourceList{v1.ResourceMemory: resource.MustParse("1Gi"), v1.ResourceCPU: resource.MustParse("1500m")}},
				Env:       []v1.EnvVar{{Name: "M", ValueFrom: limit("limits.memory", "1Mi")}, {Name: "C", ValueFrom: limit("limits.cpu", "0")}, {Name: "R", ValueFrom: limit("requests.cpu", "1m")}},
			},
			want: map[string]string{"BASE": "b", "M": "1024", "C": "2", "R": "0"},
		},
		{
			name: "objects",
			c: v1.Container{
				EnvFrom: []v1.EnvFromSource{
					{Prefix: "P_", ConfigMapRef: &v1.ConfigMapEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: "conf"}}},
					{SecretRef: &v1.SecretEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: "none"}, Optional: ptr.To(true)}},
				},
				Env: []v1.EnvVar{
					{Name: "T", ValueFrom: &v1.EnvVarSource{SecretKeyRef: &v1.SecretKeySelector{LocalObjectReference: v1.LocalObjectReference{Name: "sec"}, Key: "token"}}},
					{Name: "O", ValueFrom: mapKey("conf", "none", true)}, {Name: "Q", ValueFrom: mapKey("none", "k", true)},
				},
			},
			want: map[string]string{"BASE": "b", "P_k": "from map", "P_l": "2", "T": "s3cret"},
		},
		{name: "missing key", c: v1.Container{Env: []v1.EnvVar{{Name: "X", ValueFrom: mapKey("conf", "none", false)}}}, wantErr: `config map conf has no key "none"`},
		{name: "missing object", c: v1.Container{Env: []v1.EnvVar{{Name: "X", ValueFrom: mapKey("none", "k", false)}}}, wantErr: `configmaps "none" not found`},
		{name: "unknown field", c: v1.Container{Env: []v1.EnvVar{{Name: "X", ValueFrom: field("spec.dream")}}}, wantErr: "spec.dream is not known"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vars, err := testSetting().environment(&tc.c, map[string]string{"BASE": "b"})
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, vars.values); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if sorted := slices.Sorted(maps.Keys(vars.values)); len(sorted) != len(vars.names) {
				t.Errorf("names %v have duplicates", vars.names)
			}
		})
	}
}
