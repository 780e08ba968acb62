package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const exported = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.com/web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}], sessionAffinity: ClientIP}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: web}
spec: {exportedLabels: {team: minas-tirith}}
`

// TestMultiClusterService: a Service is exported and can be used in every member by one address, with the endpoints of all; the
// story follows the rules of the Multi-Cluster Services API's conformance suite.
func TestMultiClusterService(t *testing.T) {
	ns := namespace(t, "mcs")
	apply(t, federationName, into(ns, exported))
	var address string
	eventually(t, "a ServiceImport", 30*time.Second, func() (bool, string) {
		in, ok := get(t, federationName, "serviceimport", "web", "-n", ns)
		if !ok {
			return false, "there is none"
		}
		ips, _ := field(in, "spec", "ips").([]any)
		if len(ips) != 1 || len(clustersOf(in)) != 3 {
			return false, fmt.Sprintf("addresses %v of clusters %v", ips, clustersOf(in))
		}
		address = ips[0].(string)
		return text(in, "spec", "type") == "ClusterSetIP" && text(in, "spec", "sessionAffinity") == "ClientIP" && text(in, "metadata", "labels", "team") == "minas-tirith", fmt.Sprint(in)
	})
	if _, err := netip.ParseAddr(address); err != nil {
		t.Error(err)
	}
	for _, member := range members {
		eventually(t, "the kind ServiceImport in "+member, 30*time.Second, func() (bool, string) {
			_, err := federation.run(t.Context(), "kubectl", "--context="+member, "get", "serviceimports", "-n", ns)
			return err == nil, fmt.Sprint(err)
		})
		eventually(t, "the import in "+member, 30*time.Second, func() (bool, string) { return importedIn(t, member, ns, address) })
	}
	eventually(t, "the export's conditions", 10*time.Second, func() (bool, string) {
		e, _ := get(t, federationName, "serviceexport", "web", "-n", ns)
		for kind, want := range map[string]string{"Valid": "True", "Ready": "True", "Conflict": "False"} {
			if c := condition(e, kind); c["status"] != want {
				return false, fmt.Sprintf("%s: %v", kind, c)
			}
		}
		return true, ""
	})

	dnsAt := dnsServer(t)
	answering(t, "clusterset.local", dnsAt, 20*time.Second, map[string]string{"web." + ns + ".svc.clusterset.local": address})
	if version, err := resolverOf(dnsAt, "udp").LookupTXT(t.Context(), "dns-version.clusterset.local."); err != nil || !slices.Equal(version, []string{"1.0.0"}) {
		t.Errorf("dns-version.clusterset.local: %q, %v", version, err)
	}

	// What the federation did not make is not touched, and what someone took away comes back.
	slice := items(t, "shire", "endpointslices", "-n", ns, "-l", "multicluster.kubernetes.io/source-cluster=gondor")[0]
	inMember(t, "shire", "delete", "endpointslice", "-n", ns, text(slice, "metadata", "name"))
	eventually(t, "the slice again", 20*time.Second, func() (bool, string) { return importedIn(t, "shire", ns, address) })

	kubectl(t, "delete", "serviceexport", "web", "-n", ns)
	answering(t, "nothing of it in clusterset.local", dnsAt, 20*time.Second, map[string]string{"web." + ns + ".svc.clusterset.local": ""})
	for _, member := range members {
		eventually(t, "nothing imported in "+member, 30*time.Second, func() (bool, string) {
			_, there := get(t, member, "serviceimport", "web", "-n", ns)
			left := items(t, member, "services,endpointslices", "-n", ns, "-l", "federation.kubefed.dev/mcs-import")
			return !there && len(left) == 0, fmt.Sprintf("ServiceImport: %v, objects: %d", there, len(left))
		})
	}

	// An export without a Service says so.
	apply(t, federationName, into(ns, "apiVersion: multicluster.x-k8s.io/v1beta1\nkind: ServiceExport\nmetadata: {name: nobody}\n"))
	eventually(t, "the complaint", 10*time.Second, func() (bool, string) {
		e, _ := get(t, federationName, "serviceexport", "nobody", "-n", ns)
		c := condition(e, "Valid")
		return c["status"] == "False" && c["reason"] == "NoService", fmt.Sprint(c)
	})
}

const headless = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: db}
spec:
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: example.com/db, ports: [{containerPort: 5432}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: db}
`

// TestHeadlessMultiClusterService: a headless Service's name in clusterset.local answers with the pods of all clusters, each of
// which has a name below its cluster; the cluster alone has none, as the specification demands.
func TestHeadlessMultiClusterService(t *testing.T) {
	ns := namespace(t, "mcs-headless")
	apply(t, federationName, into(ns, headless))
	pods := map[string]string{}
	eventually(t, "a pod in each member", 30*time.Second, func() (bool, string) {
		for _, member := range members {
			for _, p := range items(t, member, "pods", "-n", ns, "-l", "app=db") {
				pods[member] = text(p, "status", "podIP")
			}
			if pods[member] == "" {
				return false, member + " has none with an address"
			}
		}
		return true, ""
	})
	base := "db." + ns + ".svc.clusterset.local"
	want := map[string]string{base: joined(pods, members...)}
	for _, member := range members {
		want[strings.ReplaceAll(pods[member], ".", "-")+"."+member+"."+base] = pods[member]
		want[member+"."+base] = ""
	}
	answering(t, "clusterset.local", dnsServer(t), 30*time.Second, want)
}

func clustersOf(serviceImport map[string]any) []string {
	list, _ := field(serviceImport, "status", "clusters").([]any)
	var names []string
	for _, c := range list {
		names = append(names, c.(map[string]any)["cluster"].(string))
	}
	return names
}

// importedIn says whether a member has the import as a whole: with the address, and one slice with endpoints of each cluster.
func importedIn(t *testing.T, member, ns, address string) (bool, string) {
	in, ok := get(t, member, "serviceimport", "web", "-n", ns)
	if !ok {
		return false, "no ServiceImport"
	}
	derived := text(in, "metadata", "annotations", "multicluster.kubernetes.io/derived-service")
	service, ok := get(t, member, "service", derived, "-n", ns)
	if !ok || fmt.Sprint(field(service, "spec", "externalIPs")) != "["+address+"]" || len(clustersOf(in)) != 3 {
		return false, fmt.Sprintf("service %q: %v", derived, field(service, "spec"))
	}
	var sources []string
	for _, s := range items(t, member, "endpointslices", "-n", ns, "-l", "multicluster.kubernetes.io/service-name=web,kubernetes.io/service-name="+derived) {
		if points, _ := field(s, "endpoints").([]any); len(points) == 0 {
			return false, "an empty slice"
		}
		if managed := text(s, "metadata", "labels", "endpointslice.kubernetes.io/managed-by"); strings.Contains(managed, "k8s.io") {
			return false, "managed by " + managed
		}
		sources = append(sources, text(s, "metadata", "labels", "multicluster.kubernetes.io/source-cluster"))
	}
	slices.Sort(sources)
	return slices.Equal(sources, members), fmt.Sprintf("slices of %v", sources)
}
