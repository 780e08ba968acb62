package placement_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// price sets what a cluster's cloud says of its prices.
func (s *story) price(name, cpuHour string, spot int32) {
	s.Helper()
	eventually(s, func() error {
		c := &federation.Cluster{}
		if err := s.Get(s.Context(), types.NamespacedName{Name: name}, c); err != nil {
			return err
		}
		c.Status.Price = &federation.PriceStatus{Price: federation.Price{Currency: "USD", CPUHour: resource.MustParse(cpuHour), GiBHour: resource.MustParse("0")},
			Spot: spot, Source: "api", At: metav1.Time{Time: time.Now().Truncate(time.Second)}}
		return s.Status().Update(s.Context(), c)
	})
}

func (s *story) byPrice(bounds *federation.PriceDivision, rebalance bool) *federation.PropagationPolicy {
	p := s.policy("cheap", []string{"gondor", "rohan"}, deployments)
	p.Spec.ReplicaDivision = &federation.ReplicaDivision{Strategy: federation.StrategyPrice, Rebalance: rebalance, Price: bounds}
	return p
}

// TestPriceBoundsChecked: the API server refuses bounds that mean nothing.
func TestPriceBoundsChecked(t *testing.T) {
	s := tell(t)
	for name, test := range map[string]struct {
		change func(d *federation.ReplicaDivision)
		want   string
	}{
		"another strategy":   {func(d *federation.ReplicaDivision) { d.Strategy = federation.StrategyPacked }, "price goes with strategy Price"},
		"nothing that moves": {func(d *federation.ReplicaDivision) { d.Rebalance, d.Price.MinSavings = false, "5%" }, "set rebalance to true"},
		"no percentage":      {func(d *federation.ReplicaDivision) { d.Price.MaxSpot = "0.5" }, "spec.replicaDivision.price.maxSpot"},
		"more than all":      {func(d *federation.ReplicaDivision) { d.Price.MaxSpot = "101%" }, "spec.replicaDivision.price.maxSpot"},
		"no duration":        {func(d *federation.ReplicaDivision) { d.Price.Overlap = &metav1.Duration{Duration: -time.Minute} }, "overlap must be a duration"},
	} {
		p := s.byPrice(&federation.PriceDivision{MaxSpot: "50%"}, true)
		test.change(p.Spec.ReplicaDivision)
		if err := s.Create(t.Context(), p); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	s.create(s.byPrice(&federation.PriceDivision{MaxSpot: "50%"}, false))
}

// TestPricesOfClouds: a cloud's prices decide where replicas go, and the decision remembers since when another cluster would be
// cheaper; a price that changes back takes that away, and nothing has moved.
func TestPricesOfClouds(t *testing.T) {
	s := tell(t)
	for name, cpuHour := range map[string]string{"gondor": "0.04", "rohan": "0.05"} {
		s.cluster(name, true)
		s.price(name, cpuHour, 0)
	}
	run(t)
	s.create(s.byPrice(&federation.PriceDivision{StableFor: &metav1.Duration{Duration: time.Hour}}, true))
	web := s.deployment("web", 3)
	web.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m")}
	s.create(web)
	s.placed("web.deployments.apps", "gondor:3")
	cheaper := func(want string) {
		t.Helper()
		eventually(s, func() error {
			d := &federation.PlacementDecision{}
			if err := s.Get(s.Context(), types.NamespacedName{Namespace: s.namespace, Name: "web.deployments.apps"}, d); err != nil {
				return err
			}
			got := sentence(d)
			for _, c := range d.Spec.Cheaper {
				got += " or " + c.Name
			}
			if got != want {
				return fmt.Errorf("the decision is %q, not yet %q", got, want)
			}
			return nil
		})
	}
	s.price("rohan", "0.01", 0)
	cheaper("gondor:3 or rohan")
	s.price("rohan", "0.04", 0)
	cheaper("gondor:3")
}
