package price_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/price"
)

var (
	now  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	read = now.Add(-time.Hour)
)

// machines are n of a type, with 2 CPUs and 8 GiB each.
func machines(n int32, kind, zone string, spot bool) federation.MachineCount {
	return federation.MachineCount{Type: kind, Zone: zone, Spot: spot, Nodes: n, Capacity: corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewQuantity(2*int64(n), resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(8<<30*int64(n), resource.BinarySI)}}
}

func usd(hour float64) cloud.Price {
	return cloud.Price{Currency: "USD", Hour: hour, CPUs: 2, GiB: 8, At: read, Source: price.SourceAPI}
}

// show is a status for a person to read.
func show(s *federation.PriceStatus) []string {
	if s == nil {
		return nil
	}
	number := func(q resource.Quantity) string { return fmt.Sprintf("%.4f", q.AsApproximateFloat64()) }
	lines := []string{fmt.Sprintf("%s %s %s", s.Currency, number(s.CPUHour), number(s.GiBHour)), fmt.Sprintf("spot %d%% unpriced %d, %s, %s", s.Spot, s.Unpriced, s.Source, s.At.UTC().Format(time.RFC3339))}
	if s.EgressGiB != nil {
		lines = append(lines, "egress "+number(*s.EgressGiB))
	}
	for _, o := range s.Offers {
		lines = append(lines, fmt.Sprintf("%s %v %s %s", o.Zone, o.Spot, number(o.CPUHour), number(o.GiBHour)))
	}
	return lines
}

func TestOf(t *testing.T) {
	large, spot := cloud.Machine{Type: "m7i.large", Zone: "a"}, cloud.Machine{Type: "m7i.large", Zone: "a", Spot: true}
	old := usd(0.1008)
	old.Source, old.At = "snapshot 2026-10-01", now.AddDate(0, -1, 0)
	euro := usd(0.1)
	euro.Currency = "EUR"
	spec := &federation.Price{Currency: "EUR", CPUHour: resource.MustParse("0.011"), GiBHour: resource.MustParse("0.0014")}
	known := &federation.PriceStatus{Price: federation.Price{Currency: "USD", CPUHour: resource.MustParse("0.0329"), GiBHour: resource.MustParse("0.0044")}, Source: "api", At: metav1.Time{Time: read}}
	for name, test := range map[string]struct {
		spec     *federation.Price
		machines []federation.MachineCount
		prices   map[cloud.Machine]cloud.Price
		egress   *price.Egress
		was      *federation.PriceStatus
		want     []string
	}{
		"nothing known":                 {nil, []federation.MachineCount{machines(1, "m7i.large", "a", false)}, nil, nil, nil, nil},
		"one type":                      {nil, []federation.MachineCount{machines(3, "m7i.large", "a", false)}, map[cloud.Machine]cloud.Price{large: usd(0.1008)}, nil, nil, []string{"USD 0.0328 0.0044", "spot 0% unpriced 0, api, 2026-11-22T11:00:00Z", "a false 0.0328 0.0044"}},
		"egress":                        {nil, []federation.MachineCount{machines(3, "m7i.large", "a", false)}, map[cloud.Machine]cloud.Price{large: usd(0.1008)}, &price.Egress{Currency: "USD", GiB: 0.09}, nil, []string{"USD 0.0328 0.0044", "spot 0% unpriced 0, api, 2026-11-22T11:00:00Z", "egress 0.0900", "a false 0.0328 0.0044"}},
		"egress in another currency":    {nil, []federation.MachineCount{machines(3, "m7i.large", "a", false)}, map[cloud.Machine]cloud.Price{large: usd(0.1008)}, &price.Egress{Currency: "EUR", GiB: 0.09}, nil, []string{"USD 0.0328 0.0044", "spot 0% unpriced 0, api, 2026-11-22T11:00:00Z", "a false 0.0328 0.0044"}},
		"half on spot":                  {nil, []federation.MachineCount{machines(1, "m7i.large", "a", false), machines(1, "m7i.large", "a", true)}, map[cloud.Machine]cloud.Price{large: usd(0.1), spot: usd(0.04)}, nil, nil, []string{"USD 0.0228 0.0031", "spot 50% unpriced 0, api, 2026-11-22T11:00:00Z", "a false 0.0325 0.0044", "a true 0.0130 0.0017"}},
		"an offer that is not used":     {nil, []federation.MachineCount{machines(1, "m7i.large", "a", false)}, map[cloud.Machine]cloud.Price{large: usd(0.1), spot: usd(0.04)}, nil, nil, []string{"USD 0.0325 0.0044", "spot 0% unpriced 0, api, 2026-11-22T11:00:00Z", "a false 0.0325 0.0044", "a true 0.0130 0.0017"}},
		"the least certain source":      {nil, []federation.MachineCount{machines(1, "m7i.large", "a", false), machines(1, "m7i.large", "a", true)}, map[cloud.Machine]cloud.Price{large: old, spot: usd(0.1008)}, nil, nil, []string{"USD 0.0328 0.0044", "spot 50% unpriced 0, snapshot 2026-10-01, 2026-10-22T12:00:00Z", "a false 0.0328 0.0044", "a true 0.0328 0.0044"}},
		"one type unknown":              {nil, []federation.MachineCount{machines(2, "metal", "a", false), machines(1, "m7i.large", "a", false)}, map[cloud.Machine]cloud.Price{large: usd(0.1008)}, nil, nil, []string{"USD 0.0328 0.0044", "spot 0% unpriced 2, api, 2026-11-22T11:00:00Z", "a false 0.0328 0.0044"}},
		"currencies are not added up":   {nil, []federation.MachineCount{machines(2, "m7i.large", "a", false), machines(1, "m7i.large", "a", true)}, map[cloud.Machine]cloud.Price{large: usd(0.1008), spot: euro}, nil, nil, []string{"USD 0.0328 0.0044", "spot 33% unpriced 1, api, 2026-11-22T11:00:00Z", "a false 0.0328 0.0044"}},
		"the spec goes before":          {spec, []federation.MachineCount{machines(1, "m7i.large", "a", true)}, map[cloud.Machine]cloud.Price{spot: usd(0.1)}, nil, nil, []string{"EUR 0.0110 0.0014", "spot 100% unpriced 0, spec, 2026-11-22T12:00:00Z"}},
		"the spec, as before":           {spec, nil, nil, nil, &federation.PriceStatus{Price: *spec, Source: "spec", At: metav1.Time{Time: read}}, []string{"EUR 0.0110 0.0014", "spot 0% unpriced 0, spec, 2026-11-22T11:00:00Z"}},
		"unknown is what it was":        {nil, []federation.MachineCount{machines(1, "m7i.large", "a", true)}, nil, nil, known, []string{"USD 0.0329 0.0044", "spot 100% unpriced 0, api, 2026-11-22T11:00:00Z"}},
		"no nodes left":                 {nil, nil, map[cloud.Machine]cloud.Price{large: usd(1)}, nil, known, []string{"USD 0.0329 0.0044", "spot 0% unpriced 0, api, 2026-11-22T11:00:00Z"}},
		"the spec's is gone":            {nil, nil, nil, nil, &federation.PriceStatus{Price: *spec, Source: "spec", At: metav1.Time{Time: read}}, nil},
		"noise":                         {nil, []federation.MachineCount{machines(1, "m7i.large", "a", false)}, map[cloud.Machine]cloud.Price{large: usd(0.1008)}, nil, known, []string{"USD 0.0329 0.0044", "spot 0% unpriced 0, api, 2026-11-22T11:00:00Z", "a false 0.0328 0.0044"}},
		"more than noise":               {nil, []federation.MachineCount{machines(1, "m7i.large", "a", false)}, map[cloud.Machine]cloud.Price{large: usd(0.11)}, nil, known, []string{"USD 0.0358 0.0048", "spot 0% unpriced 0, api, 2026-11-22T11:00:00Z", "a false 0.0358 0.0048"}},
		"a price that is none":          {nil, []federation.MachineCount{machines(1, "m7i.large", "a", false)}, map[cloud.Machine]cloud.Price{large: usd(-1)}, nil, nil, nil},
		"machines of unknown size":      {nil, []federation.MachineCount{{Type: "m7i.large", Zone: "a", Nodes: 1}}, map[cloud.Machine]cloud.Price{large: {Currency: "USD", Hour: 1, At: read, Source: "api"}}, nil, nil, nil},
		"sizes as the cloud knows them": {nil, []federation.MachineCount{{Type: "m7i.large", Zone: "a", Nodes: 1}}, map[cloud.Machine]cloud.Price{large: usd(0.1008)}, nil, nil, []string{"USD 0.0328 0.0044", "spot 0% unpriced 0, api, 2026-11-22T11:00:00Z", "a false 0.0328 0.0044"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := price.Of(test.spec, test.machines, test.prices, test.egress, test.was, now)
			if diff := cmp.Diff(test.want, show(got)); diff != "" {
				t.Errorf("Of (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAddsUp: by the prices of a cluster all its machines together cost what they do, and the average lies between them.
func TestAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prices := map[cloud.Machine]cloud.Price{}
		var list []federation.MachineCount
		bill, cpus, memory := 0.0, int64(0), int64(0)
		low, high := math.Inf(1), 0.0
		for i := range rapid.IntRange(1, 6).Draw(t, "types") {
			n, hour := rapid.Int64Range(1, 50).Draw(t, "nodes"), rapid.Float64Range(0.001, 40).Draw(t, "hour")
			each, gib := rapid.Int64Range(1, 192).Draw(t, "cpus"), rapid.Int64Range(0, 768).Draw(t, "memory")
			m := cloud.Machine{Type: fmt.Sprint(i), Spot: rapid.Bool().Draw(t, "spot")}
			prices[m] = cloud.Price{Currency: "USD", Hour: hour, CPUs: float64(each), GiB: float64(gib), At: read, Source: "api"}
			list = append(list, federation.MachineCount{Type: m.Type, Spot: m.Spot, Nodes: int32(n), Capacity: corev1.ResourceList{
				corev1.ResourceCPU: *resource.NewQuantity(n*each, resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(n*gib<<30, resource.BinarySI)}})
			bill, cpus, memory = bill+hour*float64(n), cpus+n*each, memory+n*gib
			cpu, _, _ := price.Split(hour, float64(each), float64(gib))
			low, high = min(low, cpu), max(high, cpu)
		}
		got := price.Of(nil, list, prices, nil, nil, now)
		cpu := got.CPUHour.AsApproximateFloat64()
		sum := cpu*float64(cpus) + got.GiBHour.AsApproximateFloat64()*float64(memory)
		if rounding := 1e-9 * float64(cpus+memory); math.Abs(sum-bill) > rounding+1e-9*bill {
			t.Fatalf("machines cost %f, by the prices %f", bill, sum)
		}
		if cpu < low-1e-8 || cpu > high+1e-8 {
			t.Fatalf("a CPU-hour costs %f, on the machines %f to %f", cpu, low, high)
		}
		again := price.Of(nil, list, prices, nil, got, now)
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("not stable:\n%s", diff)
		}
	})
}
