package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud/aws/places"
	gcpplaces "kubefed.dev/kubefed/pkg/cloud/gcp/places"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/config"
	"kubefed.dev/kubefed/pkg/dns/explain"
)

// dnsFlags say which objects of which federation a command is about.
type dnsFlags struct {
	FederationFlags
	namespace string
	all       bool
}

func (f *dnsFlags) addFlags(cmd *cobra.Command) {
	f.FederationFlags.addFlags(cmd)
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of the objects (default: the context's)")
	cmd.Flags().BoolVarP(&f.all, "all-namespaces", "A", false, "objects of all namespaces")
	completeFlag(cmd, "namespace", completeNamespaces)
}

// dnsWorld is what a federation's API holds of its names.
type dnsWorld struct {
	explain.World
	found Federation
	// zones are the federation's as its status tells; empty before anything was published.
	zones []federation.ZoneStatus
	// objects are those that were asked for.
	objects []explain.Object
}

// gather reads what the federation's API holds, and picks the objects that args name as NAME (of a Service) or KIND/NAME; all
// without args. An empty namespace is all.
func gatherDNS(ctx context.Context, found Federation, namespace string, args []string) (*dnsWorld, error) {
	config := rest.CopyConfig(found.Config)
	config.QPS = -1
	reader, err := newReader(config)
	if err != nil {
		return nil, err
	}
	w := &dnsWorld{found: found, World: explain.World{Federation: found.Name}}
	for _, step := range []struct {
		what string
		read func() error
	}{
		{"zones", func() error { return w.readZones(ctx, reader) }},
		{"clusters", func() error {
			var list federation.ClusterList
			return eachPage(ctx, reader, &list, func() { w.Clusters = append(w.Clusters, list.Items...) })
		}},
		{"global endpoints", func() error {
			var list federation.GlobalEndpointsList
			return eachPage(ctx, reader, &list, func() { w.Endpoints = append(w.Endpoints, list.Items...) }, client.InNamespace(namespace))
		}},
	} {
		if err := step.read(); err != nil {
			return nil, fmt.Errorf("reading %s of federation %q: %w", step.what, found.Name, err)
		}
	}
	all := w.Objects()
	if len(args) == 0 {
		w.objects = all
		return w, nil
	}
	for _, arg := range args {
		picked := pick(all, arg)
		if len(picked) == 0 {
			return nil, notPublished(ctx, found, namespace, arg)
		}
		w.objects = append(w.objects, picked...)
	}
	return w, nil
}

// readZones puts the main zone first. Which zones there are is known once something publishes to them.
func (w *dnsWorld) readZones(ctx context.Context, reader client.Reader) error {
	zones, err := readZones(ctx, reader, w.found)
	if err != nil {
		return err
	}
	w.zones = zones
	for _, z := range zones {
		w.Zones = append(w.Zones, explain.Zone{Name: z.Name, Limits: limits(z.Provider, z.HealthChecks)})
	}
	if len(w.Zones) == 0 {
		w.Zones = []explain.Zone{{Name: dns.Absolute(w.found.DNSZone)}}
	}
	return nil
}

// readZones are the zones of a federation's status, its main zone first.
func readZones(ctx context.Context, reader client.Reader, found Federation) ([]federation.ZoneStatus, error) {
	var list federation.FederationList
	if err := reader.List(ctx, &list); err != nil {
		return nil, err
	}
	var zones []federation.ZoneStatus
	for _, f := range list.Items {
		if f.Name == found.Name {
			zones = f.Status.Zones
		}
	}
	slices.SortStableFunc(zones, func(a, b federation.ZoneStatus) int {
		main := func(z federation.ZoneStatus) int {
			if z.Name == dns.Absolute(found.DNSZone) {
				return 0
			}
			return 1
		}
		return main(a) - main(b)
	})
	return zones, nil
}

// limits say by which policies a provider chooses among sets.
func limits(provider string, healthChecks bool) dns.Limits {
	switch provider {
	case config.Embedded:
		return dns.Limits{Routing: true}
	case config.Route53:
		l := dns.Limits{Routing: true, OnlyWeighted: true, Spread: true, Region: places.Nearest, LoadBalancer: places.LoadBalancer}
		if healthChecks {
			l.HealthChecks = places.Checkable
		}
		return l
	case config.CloudDNS:
		return dns.Limits{Routing: true, OnlyWeighted: true, Region: gcpplaces.Nearest}
	}
	return dns.Limits{}
}

// kinds that have names, by what users call them.
var kindsWithNames = map[string]string{
	"service": "Service", "services": "Service", "svc": "Service", "ingress": "Ingress", "ingresses": "Ingress", "ing": "Ingress",
	"gateway": "Gateway", "gateways": "Gateway", "gtw": "Gateway",
}

// pick finds what NAME or KIND/NAME means.
func pick(all []explain.Object, arg string) []explain.Object {
	kind, name, qualified := strings.Cut(arg, "/")
	if !qualified {
		kind, name = "service", arg
	}
	kind, _, _ = strings.Cut(strings.ToLower(kind), ".") // ingresses.networking.k8s.io
	var picked []explain.Object
	for _, o := range all {
		if o.Object.Name == name && o.Object.Kind == kindsWithNames[kind] {
			picked = append(picked, o)
		}
	}
	return picked
}

// notPublished says why nothing stands for what a user named.
func notPublished(ctx context.Context, found Federation, namespace, arg string) error {
	kind, name, qualified := strings.Cut(arg, "/")
	if !qualified {
		kind, name = "services", arg
	}
	group, _, _ := strings.Cut(strings.ToLower(kind), ".")
	if kindsWithNames[group] == "" {
		return &ExitError{ExitUsage, fmt.Errorf("%s: name a Service, or service/NAME, ingress/NAME or gateway/NAME: others have no names", arg)}
	}
	if namespace == "" {
		return fmt.Errorf("%s has no names in any namespace", arg)
	}
	objects, err := newFinder(found.Config)
	if err != nil {
		return err
	}
	obj, err := objects.get(ctx, kind, namespace, name)
	if err != nil {
		return err
	}
	spec, _ := obj.Object["spec"].(map[string]any)
	if kindsWithNames[group] == "Service" {
		if t, _ := spec["type"].(string); (t == "" || t == string(corev1.ServiceTypeClusterIP)) && spec["externalIPs"] == nil {
			return fmt.Errorf("service %s/%s is of type ClusterIP: only those of type LoadBalancer or NodePort, or with external IPs, are reached from outside and have names", namespace, name)
		}
	}
	if obj.GetAnnotations()[federation.AnnotationDNSPublish] == "false" {
		return fmt.Errorf("%s %s/%s has no names: its annotation %s is \"false\"", obj.GetKind(), namespace, name, federation.AnnotationDNSPublish)
	}
	return fmt.Errorf("%s %s/%s has no names (yet): is it federated, and do the controllers run? kubefed status", obj.GetKind(), namespace, name)
}

// find finds the federation and the namespace that the flags mean; an empty one is all.
func (f *dnsFlags) find(ctx context.Context) (Federation, string, error) {
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return found, "", err
	}
	switch {
	case f.all:
		return found, "", nil
	case f.namespace != "":
		return found, f.namespace, nil
	}
	return found, contextNamespace(found), nil
}

// completeNames offers what has names in the namespace that was typed.
func completeNames(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completing(cmd, func(ctx context.Context, found Federation, reader client.Reader) ([]string, error) {
		namespace, _ := cmd.Flags().GetString("namespace")
		if namespace == "" {
			namespace = contextNamespace(found)
		}
		var list federation.GlobalEndpointsList
		if err := reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
		var names []string
		for _, g := range list.Items {
			name := g.Spec.Object.Name
			if kind := g.Spec.Object.Kind; kind != "Service" {
				name = strings.ToLower(kind) + "/" + name
			}
			names = append(names, name)
		}
		return names, nil
	})
}

func completeNamespaces(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completing(cmd, func(ctx context.Context, _ Federation, reader client.Reader) ([]string, error) {
		var list corev1.NamespaceList
		if err := reader.List(ctx, &list); err != nil {
			return nil, err
		}
		var names []string
		for _, n := range list.Items {
			names = append(names, n.Name)
		}
		return names, nil
	})
}

func completeZones(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completing(cmd, func(ctx context.Context, found Federation, reader client.Reader) ([]string, error) {
		zones, err := readZones(ctx, reader, found)
		var names []string
		for _, z := range zones {
			names = append(names, strings.TrimSuffix(z.Name, "."))
		}
		return names, err
	})
}
