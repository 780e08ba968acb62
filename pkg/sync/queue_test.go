package sync

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// What others wait for goes ahead of them, also of what was added before the controller started.
func TestDependenciesGoAhead(t *testing.T) {
	keys := []Key{
		{GroupKind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Namespace: "shop", Name: "web"},
		{GroupKind: schema.GroupKind{Kind: "Service"}, Namespace: "shop", Name: "web"},
		{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, Namespace: "shop", Name: "web"},
		{GroupKind: crdKind, Name: "crontabs.example.com"},
		{GroupKind: schema.GroupKind{Kind: "Secret"}, Namespace: "shop", Name: "web"},
		{GroupKind: namespaceKind, Name: "shop"},
	}
	want := []string{"ConfigMap", "CustomResourceDefinition", "Secret", "Namespace", "Deployment", "Service"}
	for name, early := range map[string]int{"added later": 0, "added early": len(keys)} {
		t.Run(name, func(t *testing.T) {
			q, to := newQueue(), priorityqueue.New[Key]("test")
			defer to.ShutDown()
			for _, key := range keys[:early] {
				q.add(key, 0)
			}
			if err := q.Start(t.Context(), to); err != nil {
				t.Fatal(err)
			}
			for _, key := range keys[early:] {
				q.add(key, 0)
			}
			var got []string
			for range keys {
				key, _ := to.Get()
				got = append(got, key.Kind)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}
