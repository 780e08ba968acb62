package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// dnsStatus is how the federation's names are.
type dnsStatus struct {
	Zones []federation.ZoneStatus `json:"zones,omitempty"`
	// Total counts the Services, Ingresses and Gateways that have names, Published those whose names are as they should be.
	Total     int `json:"total"`
	Published int `json:"published"`
	// Others are those that are not.
	Others []nameStatus `json:"others,omitempty"`
}

// nameStatus is one object whose names are not as they should be.
type nameStatus struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Reason    string `json:"reason"`
	Message   string `json:"message,omitempty"`
	// Where its clusters stand, such as "gondor Healthy, rohan Unhealthy".
	Where string `json:"where,omitempty"`
}

func readDNS(ctx context.Context, reader client.Reader, found Federation, r *statusReport) error {
	zones, err := readZones(ctx, reader, found)
	if err != nil || len(zones) == 0 {
		return err
	}
	r.DNS = &dnsStatus{Zones: zones}
	var list federation.GlobalEndpointsList
	return eachPage(ctx, reader, &list, func() { r.DNS.add(list.Items) })
}

// add counts objects. One that no cluster serves yet is as it should be.
func (s *dnsStatus) add(page []federation.GlobalEndpoints) {
	for _, g := range page {
		s.Total++
		published := meta.FindStatusCondition(g.Status.Conditions, federation.EndpointsPublished)
		if published != nil && (published.Status == metav1.ConditionTrue || published.Reason == federation.ReasonNoEndpoints) {
			s.Published++
			continue
		}
		o := nameStatus{Kind: g.Spec.Object.Kind, Namespace: g.Spec.Object.Namespace, Name: g.Spec.Object.Name, Reason: federation.ReasonPending, Where: g.Status.Where}
		if published != nil {
			o.Reason, o.Message = published.Reason, published.Message
		}
		s.Others = append(s.Others, o)
	}
	slices.SortFunc(s.Others, func(a, b nameStatus) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}

// problems are what keeps names from being as they should be. What is on its way is none.
func (s *dnsStatus) problems() (all []string) {
	if s == nil {
		return nil
	}
	for _, z := range s.Zones {
		if z.State != zoneReady {
			all = append(all, fmt.Sprintf("DNS zone %s is %s", strings.TrimSuffix(z.Name, "."), z.State))
		}
	}
	failing := 0
	for _, o := range s.Others {
		if o.Reason != federation.ReasonPending {
			failing++
		}
	}
	if failing > 0 {
		all = append(all, fmt.Sprintf("the names of %d of %d objects are not as they should be", failing, s.Total))
	}
	return all
}

const zoneReady = "Ready"

func printDNSStatus(out io.Writer, s *dnsStatus) {
	if s == nil {
		return
	}
	fmt.Fprintf(out, "\nDNS: names of %d of %d objects as they should be\n", s.Published, s.Total)
	table(out, "ZONE", "PROVIDER", "STATE", "SINCE", "NAMES", "CONFLICTS", "SERVERS", "MESSAGE")(func(row func(...string)) {
		for _, z := range s.Zones {
			since := "-"
			if z.Since != nil {
				since = age(z.Since.Time)
			}
			row(strings.TrimSuffix(z.Name, "."), z.Provider, z.State, since, fmt.Sprint(z.Names), count(z.Conflicts), dash(strings.Join(z.Servers, ",")), dash(oneLine(z.Message)))
		}
	})
	if len(s.Others) == 0 {
		return
	}
	fmt.Fprintln(out)
	table(out, "KIND", "NAMESPACE", "NAME", "REASON", "CLUSTERS", "MESSAGE")(func(row func(...string)) {
		for _, o := range s.Others[:min(len(s.Others), objectsShown)] {
			row(o.Kind, o.Namespace, o.Name, o.Reason, dash(o.Where), dash(oneLine(o.Message)))
		}
	})
	if left := len(s.Others) - objectsShown; left > 0 {
		fmt.Fprintf(out, "  and %d more: kubectl get globalendpoints -A\n", left)
	}
}
