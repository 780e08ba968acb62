package drill

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill/traffic"
	"kubefed.dev/kubefed/pkg/probe"
)

// Survey is what a federation looked like when a drill asked.
type Survey struct {
	Seen
	// Subjects say how the Services of the spec are asked; those with a problem are empty.
	Subjects []traffic.Subject
}

// Look reads all but the World and the requests. It writes nothing.
func Look(ctx context.Context, reader client.Reader, federationName string, d *federation.FailoverDrill) (*Survey, error) {
	var clusters federation.ClusterList
	var endpoints federation.GlobalEndpointsList
	var decisions federation.PlacementDecisionList
	var drills federation.FailoverDrillList
	var federations federation.FederationList
	for _, read := range []struct {
		what string
		list client.ObjectList
	}{
		{"clusters", &clusters}, {"endpoints", &endpoints}, {"placement decisions", &decisions}, {"drills", &drills}, {"the federation", &federations},
	} {
		if err := reader.List(ctx, read.list); err != nil {
			return nil, fmt.Errorf("reading %s for drill %s: %w", read.what, d.Name, err)
		}
	}
	s := &Survey{}
	var zones []federation.ZoneStatus
	for i := range federations.Items {
		f := &federations.Items[i]
		if f.Name == federationName {
			zones = f.Status.Zones
		}
		if c := meta.FindStatusCondition(f.Status.Conditions, federation.FederationIsolated); c != nil && c.Status == "True" {
			s.Isolated = cmp.Or(c.Message, c.Reason)
		}
	}
	for i := range drills.Items {
		if other := &drills.Items[i]; other.Name != d.Name && Active(other) {
			s.Other = other.Name
		}
	}
	published := s.services(d, federationName, endpoints.Items, zones)
	for i := range clusters.Items {
		s.Clusters = append(s.Clusters, ClusterOf(&clusters.Items[i], published))
	}
	failing := map[string]bool{}
	for _, t := range d.Status.Clusters {
		failing[t.Name] = true
	}
	s.Replicas = replicas(decisions.Items, failing, d.Status.Before, d.Status.Moves)
	s.workloads(d, decisions.Items, failing)
	return s, nil
}

// services finds out where Services are and how they are asked, and returns which clusters DNS names.
func (s *Survey) services(d *federation.FailoverDrill, federationName string, all []federation.GlobalEndpoints, zones []federation.ZoneStatus) map[string]bool {
	published := map[string]bool{}
	note := func(e *federation.GlobalEndpoints) []string {
		var in []string
		for _, c := range e.Status.Clusters {
			if c.Published {
				published[c.Name], in = true, append(in, c.Name)
			}
		}
		return in
	}
	if len(d.Spec.Services) == 0 {
		for i := range all {
			note(&all[i])
		}
	}
	for i := range d.Spec.Services {
		wanted := &d.Spec.Services[i]
		service, subject := Service{Key: wanted.Namespace + "/" + wanted.Name}, traffic.Subject{}
		if e := endpointsOf(wanted, all); e == nil {
			service.Problem = "there is no such Service with names in DNS; see kubectl get globalendpoints -A"
		} else {
			service.In = note(e)
			subject, service.Problem = subjectOf(wanted, e, federationName, zones)
			subject.Key = service.Key
		}
		s.Services, s.Subjects = append(s.Services, service), append(s.Subjects, subject)
	}
	return published
}

func endpointsOf(wanted *federation.DrillService, all []federation.GlobalEndpoints) *federation.GlobalEndpoints {
	key := federation.DecisionKey("", "services", wanted.Namespace, wanted.Name)
	for i := range all {
		e := &all[i]
		if e.Namespace == key.Namespace && e.Name == key.Name ||
			e.Namespace == wanted.Namespace && e.Spec.Object.Name == wanted.Name && wanted.Hostname != "" && slices.Contains(e.Spec.Hosts, wanted.Hostname) {
			return e
		}
	}
	return nil
}

// subjectOf says how one Service is asked.
func subjectOf(wanted *federation.DrillService, e *federation.GlobalEndpoints, federationName string, zones []federation.ZoneStatus) (traffic.Subject, string) {
	var zone *federation.ZoneStatus
	for i := range zones {
		z := &zones[i]
		holds := slices.ContainsFunc(e.Status.Zones, func(p federation.PublishedZone) bool { return p.Name == z.Name })
		if holds && len(z.Servers) > 0 && (wanted.Hostname == "" || strings.HasSuffix("."+strings.TrimSuffix(wanted.Hostname, ".")+".", "."+z.Name)) {
			zone = z
			break
		}
	}
	if zone == nil {
		return traffic.Subject{}, "no DNS server is known that answers its name; see kubectl get federations -o yaml"
	}
	s := traffic.Subject{
		Hostname: cmp.Or(strings.TrimSuffix(wanted.Hostname, "."), strings.TrimSuffix(fmt.Sprintf("%s.%s.%s.svc.%s", wanted.Name, wanted.Namespace, federationName, zone.Name), ".")),
		Rate:     int(ptr.Deref(wanted.RequestsPerSecond, 10)),
		Clusters: map[string]string{},
	}
	for _, server := range zone.Servers {
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(strings.TrimSuffix(server, "."), "53")
		}
		s.Servers = append(s.Servers, server)
	}
	port := int32(0)
	for _, c := range e.Status.Clusters {
		for _, address := range c.Addresses {
			s.Clusters[address] = c.Name
		}
		if port == 0 && len(c.Ports) > 0 {
			port = c.Ports[0].Port
		}
	}
	if port = ptr.Deref(wanted.Port, port); port == 0 {
		return s, "no cluster serves it yet"
	}
	// As an EndpointProbe asks; the address follows for each request.
	target, _ := probe.Of(&federation.EndpointProbe{
		Type: cmp.Or(wanted.Scheme, federation.ProbeHTTP), Host: s.Hostname, Path: wanted.Path, ExpectedStatus: wanted.ExpectedStatus, TimeoutSeconds: wanted.TimeoutSeconds,
	}, "", "")
	s.Target, s.Port = target, strconv.Itoa(int(port))
	return s, ""
}

func (s *Survey) workloads(d *federation.FailoverDrill, decisions []federation.PlacementDecision, failing map[string]bool) {
	gone := d.Spec.Mode == federation.DrillVerdict || d.Spec.Mode == federation.DrillKill
	for _, wanted := range d.Spec.Guardrails.Workloads {
		version, kindName := cmp.Or(wanted.APIVersion, "apps/v1"), cmp.Or(wanted.Kind, "Deployment")
		w := Workload{Key: fmt.Sprintf("%s %s/%s", kindName, wanted.Namespace, wanted.Name), Problem: "there is no such workload that is federated; see kubectl get placementdecisions -n " + wanted.Namespace}
		for i := range decisions {
			o := &decisions[i].Spec.Object
			if o.Kind != kindName || o.Namespace != wanted.Namespace || o.Name != wanted.Name ||
				schema.FromAPIVersionAndKind(o.APIVersion, o.Kind).Group != schema.FromAPIVersionAndKind(version, kindName).Group {
				continue
			}
			w.Problem = ""
			for _, c := range decisions[i].Status.Clusters {
				if !gone || !failing[c.Name] {
					w.Ready += ptr.Deref(c.ReadyReplicas, 0)
				}
			}
		}
		s.Workloads = append(s.Workloads, w)
	}
}
