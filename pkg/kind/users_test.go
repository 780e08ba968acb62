package kind

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	toolscache "k8s.io/client-go/tools/cache"
)

// workload makes a Deployment that refers to a ConfigMap, a Secret, a claim and a ServiceAccount.
func workload(namespace, name, configMap, secret, claim, account string) *unstructured.Unstructured {
	volume := func(source, field, name string) any {
		return map[string]any{"name": source, source: map[string]any{field: name}}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": namespace, "name": name},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"serviceAccountName": account,
			"volumes": []any{
				volume("configMap", "name", configMap), volume("secret", "secretName", secret), volume("persistentVolumeClaim", "claimName", claim),
			},
		}}},
	}}
}

func TestIndex(t *testing.T) {
	k := kindFor("apps", "Deployment")
	index := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, indexersOf(k))
	for _, obj := range []*unstructured.Unstructured{
		workload("one", "a", "settings", "token", "data", "runner"), workload("one", "b", "settings", "settings", "more", ""), workload("two", "a", "settings", "x", "y", ""),
	} {
		if err := index.Add(obj); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		ref  Ref
		want []string
	}{
		{Ref{configMapKind, "settings"}, []string{"one/a", "one/b"}},
		{Ref{secretKind, "settings"}, []string{"one/b"}},
		{Ref{volumeClaimKind, "data"}, []string{"one/a"}},
		{Ref{serviceAccountKind, "runner"}, []string{"one/a"}},
		{Ref{serviceAccountKind, "x"}, nil},
	} {
		got, err := index.IndexKeys(refIndex, indexed("one", test.ref))
		if err != nil {
			t.Fatal(err)
		}
		sortStrings := cmp.Transformer("set", func(keys []string) map[string]bool {
			set := map[string]bool{}
			for _, key := range keys {
				set[key] = true
			}
			return set
		})
		if diff := cmp.Diff(test.want, got, sortStrings); diff != "" {
			t.Errorf("users of %s (-want +got):\n%s", test.ref, diff)
		}
	}
	if err := index.Add(&unstructured.UnstructuredList{}); err == nil {
		t.Error("what is no object was indexed")
	}
}

// BenchmarkIndexMemory measures what the index of references costs per object: one that shares a ServiceAccount and a
// Secret with its namespace's others, and has a ConfigMap and a claim of its own.
func BenchmarkIndexMemory(b *testing.B) {
	const n = 20_000
	objects := make([]*unstructured.Unstructured, n)
	for i := range objects {
		own := fmt.Sprintf("web-%d", i)
		objects[i] = workload(fmt.Sprintf("team-%d", i/100), own, own, "pull", own, "runner")
	}
	for b.Loop() {
		without, with := heapOf(objects, nil), heapOf(objects, indexersOf(kindFor("apps", "Deployment")))
		b.ReportMetric(float64(with-without)/n, "B/object")
	}
}

func heapOf(objects []*unstructured.Unstructured, indexers toolscache.Indexers) int64 {
	inUse := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := inUse()
	index := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, indexers)
	for _, obj := range objects {
		_ = index.Add(obj)
	}
	after := inUse()
	runtime.KeepAlive(index)
	return after - before
}
