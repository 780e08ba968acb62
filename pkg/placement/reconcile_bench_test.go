package placement_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/placement"
)

// BenchmarkReconcile measures what it costs to look at one object again, caches included: what every object pays after
// a restart, and those concerned after a cluster came or went.
func BenchmarkReconcile(b *testing.B) {
	direct, err := client.New(federationAPI(b), client.Options{Scheme: scheme()})
	if err != nil {
		b.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"}}
	if err := direct.Create(b.Context(), ns); err != nil {
		b.Fatal(err)
	}
	r := run(b)
	var keys []placement.Key
	for i := range 200 {
		config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: fmt.Sprintf("config-%d", i)}}
		if err := direct.Create(b.Context(), config); err != nil {
			b.Fatal(err)
		}
		keys = append(keys, placement.Key{GroupKind: schema.GroupKind{Kind: "ConfigMap"}, NamespacedName: client.ObjectKeyFromObject(config)})
	}
	eventually(b, func() error {
		d := &federation.PlacementDecision{}
		return r.cache.Get(b.Context(), types.NamespacedName{Namespace: ns.Name, Name: "config-199.configmaps"}, d)
	})
	c := placement.New(direct, r.cache, events.NewFakeRecorder(10), r.catalog)
	for i := 0; b.Loop(); i++ {
		if _, err := c.Reconcile(b.Context(), keys[i%len(keys)]); err != nil {
			b.Fatal(err)
		}
	}
}
