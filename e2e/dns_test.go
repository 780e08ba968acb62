package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const named = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: kubefed.dev/demo-web:v1
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
`

// dnsServer is where kubefed init says that the federation's DNS server answers.
func dnsServer(t *testing.T) string {
	t.Helper()
	address := must(t, "kubectl", "--context="+host, "-n", "federation-system", "get", "service", "federation-dns", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	if address == "" {
		t.Fatal("Service federation-dns has no address")
	}
	return net.JoinHostPort(address, "53")
}

// resolverOf asks one server, over UDP or TCP.
func resolverOf(server, network string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
}

// answers are the addresses of a name, sorted; none where it has no data or does not exist.
func answers(t *testing.T, server, name string) string {
	t.Helper()
	var all [2]string
	for i, network := range []string{"udp", "tcp"} {
		found, err := resolverOf(server, network).LookupHost(t.Context(), name+".")
		var missing *net.DNSError
		if err != nil && !(errors.As(err, &missing) && missing.IsNotFound) {
			return fmt.Sprintf("%v over %s", err, network)
		}
		slices.Sort(found)
		all[i] = strings.Join(found, " ")
	}
	if all[0] != all[1] {
		return fmt.Sprintf("%q over UDP and %q over TCP", all[0], all[1])
	}
	return all[0]
}

// answering waits until each name answers so, and says how long that took.
func answering(t *testing.T, what, server string, within time.Duration, want map[string]string) {
	t.Helper()
	start := time.Now()
	eventually(t, what, within, func() (bool, string) {
		for name, addresses := range want {
			if got := answers(t, server, name); got != addresses {
				return false, fmt.Sprintf("%s answers %q, want %q", name, got, addresses)
			}
		}
		return true, ""
	})
	t.Logf("%s: after %.1f s", what, time.Since(start).Seconds())
}

// TestDNS: a Service has names at the federation's DNS server; a cluster without ready pods leaves the answers and comes back; and
// kubefed dns tells so.
func TestDNS(t *testing.T) {
	server, ns := dnsServer(t), namespace(t, "names")
	apply(t, federationName, into(ns, named))
	synced(t, ns, 60*time.Second)
	at := map[string]string{}
	for _, member := range members {
		at[member] = text(service(t, member, ns), "status", "loadBalancer", "ingress", "0", "ip")
	}
	everywhere, withoutShire := joined(at, members...), joined(at, "gondor", "rohan")
	name := "web." + ns + "." + federationName + ".svc."
	gondor, _ := get(t, federationName, "cluster", "gondor")
	region := text(gondor, "status", "region")
	zones, _ := field(gondor, "status", "zones").([]any)
	want := map[string]string{
		name + "example.com":                       everywhere,
		name + region + ".example.com":             at["gondor"],
		name + "aws.cloud.example.com":             at["gondor"],
		"gondor.cluster." + name + "example.com":   at["gondor"],
		"shire.cluster." + name + "example.com":    at["shire"],
		name + "shire.example.com":                 at["shire"],
		"nobody." + name + "example.com":           "",
		name + "no-such-region.example.com":        "",
		"web.elsewhere.fellowship.svc.example.com": "",
	}
	for _, zone := range zones {
		want[name+zone.(string)+"."+region+".example.com"] = at["gondor"]
	}
	answering(t, "all names", server, 60*time.Second, want)

	t.Run("through the name", func(t *testing.T) { throughName(t, server, name+"example.com") })
	t.Run("told", func(t *testing.T) {
		told(t, ns, server, []string{"gondor, ", everywhere}, nil)
		if out := must(t, "kubefed", "status", "--context="+federationName); !strings.Contains(out, "example.com   embedded   Ready") {
			t.Errorf("status says nothing of the zone:\n%s", out)
		}
	})
	t.Run("exported", func(t *testing.T) { exportedZone(t, name, at["gondor"]) })
	t.Run("no pod in shire", func(t *testing.T) {
		policy := propagation("  clusterGroups: [{name: others, names: [gondor, rohan]}]")
		apply(t, federationName, into(ns, policy))
		answering(t, "shire left the answers", server, 90*time.Second, map[string]string{
			name + "example.com": withoutShire, name + "shire.example.com": withoutShire, "shire.cluster." + name + "example.com": "",
			"gondor.cluster." + name + "example.com": at["gondor"],
		})
		told(t, ns, server, []string{"WITHHELD", "shire"}, []string{at["shire"] + "   "})
		must(t, "kubectl", "--context="+federationName, "delete", "-n", ns, "propagationpolicies", "--all")
		must(t, "kubefed", "rebalance", "deployment/web", "-n", ns, "--context="+federationName)
		answering(t, "shire is back", server, 90*time.Second, map[string]string{
			name + "example.com": everywhere, "shire.cluster." + name + "example.com": at["shire"],
		})
	})
	kubectl(t, "delete", "service", "web", "-n", ns)
	answering(t, "the names of a deleted Service are gone", server, 30*time.Second, map[string]string{
		name + "example.com": "", name + region + ".example.com": "", "gondor.cluster." + name + "example.com": "",
	})
}

// slow pods are ready ten seconds after they begin.
var slow = strings.NewReplacer("replicas: 3", "replicas: 6", "port: http}, periodSeconds: 1", "port: http}, initialDelaySeconds: 10, periodSeconds: 1",
	"metadata: {name: web}\nspec: {type", "metadata: {name: web, annotations: {federation.kubefed.dev/dns-ttl: \"5\"}}\nspec: {type").Replace(named)

// TestDrainHandsOver: a drained cluster answers until its replicas' replacements are ready, then leaves DNS; its pods go when no client
// can hold its address any more.
func TestDrainHandsOver(t *testing.T) {
	server, ns := dnsServer(t), namespace(t, "hands-over")
	t.Cleanup(func() {
		_, _ = federation.run(context.Background(), "kubefed", "uncordon", "gondor", "--context="+federationName)
	})
	apply(t, federationName, into(ns, propagation("  moves: {maxMoving: 100%}")+"\n---"+slow))
	placedAs(t, ns, "Deployment", "gondor 2, rohan 2, shire 2", 60*time.Second)
	at := map[string]string{}
	for _, member := range members {
		at[member] = text(service(t, member, ns), "status", "loadBalancer", "ingress", "0", "ip")
	}
	host := "web." + ns + "." + federationName + ".svc.example.com"
	answering(t, "all members answer", server, 60*time.Second, map[string]string{host: joined(at, members...)})
	elsewhere := func() (n int) {
		for _, member := range []string{"rohan", "shire"} {
			d, _ := get(t, member, "deployment/web", "-n", ns)
			n += number(d, "status", "readyReplicas")
		}
		return n
	}
	taints(t, "gondor", `[{"key":"federation.kubefed.dev/drain","effect":"NoExecute"}]`)
	start := time.Now()
	answering(t, "gondor left the answers", server, 90*time.Second, map[string]string{host: joined(at, "rohan", "shire")})
	if n := elsewhere(); n < 6 {
		t.Errorf("gondor left the answers when %d of 6 replicas were ready elsewhere", n)
	}
	left := time.Now()
	if d, _ := get(t, "gondor", "deployment/web", "-n", ns); number(d, "status", "readyReplicas") != 2 {
		t.Errorf("gondor has %d ready replicas while clients hold its address, want 2", number(d, "status", "readyReplicas"))
	}
	eventually(t, "its pods gone", 120*time.Second, func() (bool, string) {
		d, there := get(t, "gondor", "deployment/web", "-n", ns)
		return !there || number(d, "status", "readyReplicas") == 0, "they are there"
	})
	// The highest TTL was 5 s; resolvers are given 30 s more.
	if held := time.Since(left); held < 34*time.Second {
		t.Errorf("its pods went %s after its address had left DNS", held)
	}
	t.Logf("the address left after %.1f s, the pods %.1f s later", left.Sub(start).Seconds(), time.Since(left).Seconds())
}

// service waits for a member's load balancer.
func service(t *testing.T, member, ns string) (found map[string]any) {
	t.Helper()
	eventually(t, "a load balancer in "+member, 30*time.Second, func() (bool, string) {
		found, _ = get(t, member, "service", "web", "-n", ns)
		ingress, _ := field(found, "status", "loadBalancer", "ingress").([]any)
		if len(ingress) == 0 {
			return false, "it has no address"
		}
		// As a map, so that the path of the address is one of keys.
		field(found, "status", "loadBalancer").(map[string]any)["ingress"] = map[string]any{"0": ingress[0]}
		return true, ""
	})
	return found
}

func joined(at map[string]string, clusters ...string) string {
	var all []string
	for _, c := range clusters {
		all = append(all, at[c])
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// throughName asks a web server by the global name.
func throughName(t *testing.T, server, name string) {
	dialer := &net.Dialer{Resolver: resolverOf(server, "udp")}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+name+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s, %v: %s", response.Status, err, body)
	}
}

// told: kubefed dns says what is published, and that the server answers so.
func told(t *testing.T, ns, server string, has, lacks []string) {
	t.Helper()
	out := must(t, "kubefed", "dns", "records", "web", "-n", ns, "--context="+federationName)
	flat := strings.NewReplacer(",", " ").Replace(out)
	for _, word := range has {
		if !strings.Contains(flat, strings.NewReplacer(",", " ", ", ", " ").Replace(word)) && !strings.Contains(out, word) {
			t.Errorf("kubefed dns records does not say %q:\n%s", word, out)
		}
	}
	for _, word := range lacks {
		if above, _, _ := strings.Cut(out, "WITHHELD"); strings.Contains(above, word) {
			t.Errorf("kubefed dns records says %q:\n%s", word, out)
		}
	}
	checked := must(t, "kubefed", "dns", "check", "web", "-n", ns, "--context="+federationName)
	for _, word := range []string{server, "each as it should be at every server"} {
		if !strings.Contains(checked, word) {
			t.Errorf("kubefed dns check does not say %q:\n%s", word, checked)
		}
	}
	refused(t, []string{"kubefed", "dns", "check", "web", "-n", ns, "--context=" + federationName, "--server=127.0.0.1:1", "--wait=0s"}, "nobody listens there")
}

// exportedZone: the zone as a file has the names, and BIND's checker takes it, where it is installed.
func exportedZone(t *testing.T, name, address string) {
	zone := must(t, "kubefed", "dns", "export", "--context="+federationName)
	for _, line := range []string{"example.com.\t300\tIN\tSOA\tns1.example.com.", "gondor.cluster." + name + "example.com.\t20\tIN\tA\t" + address, "_kubefed." + name + "example.com."} {
		if !strings.Contains(zone, line) {
			t.Errorf("the zone lacks %q:\n%s", line, zone)
		}
	}
	checker, err := exec.LookPath("named-checkzone")
	if err != nil {
		checker = "/usr/sbin/named-checkzone"
	}
	if _, err := os.Stat(checker); err != nil {
		t.Log("named-checkzone (Debian: bind9-utils) is not installed: the zone was not given to it")
		return
	}
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, []byte(zone), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), checker, "example.com", path).CombinedOutput(); err != nil {
		t.Errorf("named-checkzone: %v\n%s", err, out)
	}
}
