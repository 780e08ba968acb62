package mcs

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"kubefed.dev/kubefed/pkg/dns"
)

// TestKeep: what a cluster gave to an import stays while the cluster can't be read, and goes when it is known to be gone.
func TestKeep(t *testing.T) {
	have := &mcsv1.ServiceImport{Spec: mcsv1.ServiceImportSpec{Ports: []mcsv1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}, {Name: "admin", Protocol: corev1.ProtocolTCP, Port: 81}}}}
	have.Status.Clusters = []mcsv1.ClusterStatus{{Cluster: "gondor"}, {Cluster: "rohan"}}
	for name, test := range map[string]struct {
		unknown  map[string]bool
		clusters []string
		ports    int
	}{
		"rohan can't be read":       {map[string]bool{"rohan": true}, []string{"gondor", "rohan"}, 2},
		"rohan exports no more":     {nil, []string{"gondor"}, 1},
		"shire, which had no part,": {map[string]bool{"shire": true}, []string{"gondor"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			all := combine([]export{{cluster: "gondor", spec: clusterIP(port("http", 80))}})
			d := desired{spec: &all.spec, clusters: slices.Clone(all.clusters), unknown: test.unknown}
			d.keep(have)
			if diff := cmp.Diff(test.clusters, d.clusters); diff != "" || len(d.spec.Ports) != test.ports {
				t.Errorf("ports %v, clusters (-want +got):\n%s", d.spec.Ports, diff)
			}
		})
	}
}

// TestZoneKeepsWhatIsUnknown: records of a cluster that can't be read stay in the zone until it was.
func TestZoneKeepsWhatIsUnknown(t *testing.T) {
	memory := dns.NewMemory(dns.Limits{}, ClusterSetZone)
	z := newZone(Options{Federation: "earth", Zone: memory, Fence: func() dns.Fence { return dns.Fence{Federation: "earth", Holder: "test", Epoch: 1} }})
	owner := dns.Owner{Ref: "si/shop/db", UID: "si"}
	gondor := pods("gondor", headless(), endpoint{addresses: []string{"10.1.0.1"}, hostname: "db-0", ready: true})
	rohan := pods("rohan", headless(), endpoint{addresses: []string{"10.2.0.1"}, hostname: "db-1", ready: true})
	spec := mcsv1.ServiceImportSpec{Type: mcsv1.Headless}
	write := func(partial bool, exports ...export) (addresses, names []string) {
		t.Helper()
		z.set(owner.Ref, claims(owner, "shop", "db", spec, exports), partial)
		if err := z.write(t.Context()); err != nil {
			t.Fatal(err)
		}
		snapshot, err := memory.Records(t.Context(), ClusterSetZone)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range snapshot.Sets {
			if s.Type != dns.A {
				continue
			}
			if names = append(names, s.Name); s.Name == "db.shop.svc."+ClusterSetZone {
				addresses = s.Data
			}
		}
		return addresses, names
	}
	both := []string{"10.1.0.1", "10.2.0.1"}
	if got, _ := write(false, gondor, rohan); !slices.Equal(got, both) {
		t.Errorf("at first: %v", got)
	}
	if got, names := write(true, gondor); !slices.Equal(got, both) || len(names) != 3 {
		t.Errorf("rohan can't be read: %v, %v", got, names)
	}
	if got, names := write(false, gondor); !slices.Equal(got, both[:1]) || len(names) != 2 {
		t.Errorf("rohan was read and has none: %v, %v", got, names)
	}
}
