package observe

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
)

// TestPriceOverTime: a price is written when it changes, stays when the cloud falls silent, and is the spec's where that has one.
func TestPriceOverTime(t *testing.T) {
	c := member("gondor", "aws", "us-east-1", "us-east-1a")
	c.Status.Machines = []federation.MachineCount{{Type: "m7i.large", Zone: "us-east-1a", Nodes: 2, Capacity: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi")}}}
	k := known{source: &Source{Name: "prod"}, region: "us-east-1"}
	now := start
	at := func(hour float64) offers {
		m := cloud.Machine{Type: "m7i.large", Zone: "us-east-1a"}
		return offers{currency: "USD", egressPerGiB: 0.09, machines: map[cloud.Machine]cloud.Price{
			m: {Currency: "USD", Hour: hour, CPUs: 2, GiB: 8, At: now, Source: "api"}}}
	}
	look := func() (changed bool) {
		t.Helper()
		now = now.Add(10 * time.Minute)
		status := k.status(c, now)
		changed = !cmp.Equal(c.Status.Price, status.Price)
		c.Status = status
		return changed
	}
	if look(); c.Status.Price != nil {
		t.Fatalf("%+v", c.Status.Price)
	}
	k.prices = k.prices.read(at(0.1), nil, now)
	if !look() || c.Status.Price == nil || c.Status.Price.Currency != "USD" || c.Status.Price.EgressGiB == nil {
		t.Fatalf("%+v", c.Status.Price)
	}
	first := c.Status.Price.DeepCopy()
	k.prices = k.prices.read(at(0.1), nil, now)
	if look() {
		t.Fatalf("the same again is written: %+v, then %+v", first, c.Status.Price)
	}
	k.prices = k.prices.read(offers{}, errors.New("down"), now)
	if look() {
		t.Fatalf("lost: %+v", c.Status.Price)
	}
	restarted := known{source: k.source, region: k.region}
	k = restarted
	if look() {
		t.Fatalf("lost in a restart: %+v, then %+v", first, c.Status.Price)
	}
	k.prices = k.prices.read(at(0.2), nil, now)
	if !look() || c.Status.Price.CPUHour.Cmp(first.CPUHour) <= 0 {
		t.Fatalf("%+v", c.Status.Price)
	}
	now = now.Add(priceAge)
	k.prices = k.prices.read(at(0.2), nil, now)
	if !look() {
		t.Fatal("its age is never seen")
	}
	c.Spec.Price = &federation.Price{Currency: "EUR", CPUHour: resource.MustParse("0.01"), GiBHour: resource.MustParse("0.001")}
	if !look() || c.Status.Price.Source != "spec" || c.Status.Price.Currency != "EUR" {
		t.Fatalf("%+v", c.Status.Price)
	}
	c.Spec.Price = nil
	look()
	k = known{}
	if look(); c.Status.Price != nil {
		t.Fatalf("nobody is asked any more: %+v", c.Status.Price)
	}
}
