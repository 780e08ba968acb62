package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clouds changes what the simulated clouds say.
func clouds(t *testing.T, args ...string) {
	t.Helper()
	must(t, append([]string{"kubefed", "playground", "cloud", "--dir=" + federation.dir}, args...)...)
}

// healed has the clouds as they were, also after a failure: the next story needs them.
func healed(t *testing.T, commands ...string) {
	t.Cleanup(func() {
		for _, c := range commands {
			words := append([]string{"kubefed", "playground", "cloud", "--dir=" + federation.dir}, strings.Fields(c)...)
			if _, err := federation.run(context.Background(), words...); err != nil {
				t.Error(err)
			}
		}
	})
}

// cloudSays waits until CloudKnown of a cluster has a reason, and its first zone a state.
func cloudSays(t *testing.T, cluster, reason, state string) {
	t.Helper()
	eventually(t, fmt.Sprintf("cloud of %s: %s, %s", cluster, reason, state), 60*time.Second, func() (bool, string) {
		c, _ := get(t, federationName, "cluster", cluster)
		known := condition(c, "CloudKnown")
		zones, _ := field(c, "status", "cloud", "zones").([]any)
		if text(known, "reason") != reason || len(zones) == 0 {
			return false, fmt.Sprint(known, zones)
		}
		return text(zones[0].(map[string]any), "state") == state, fmt.Sprint(zones)
	})
}

// price of a CPU for an hour in a cluster.
func price(t *testing.T, cluster string) (nano int) {
	t.Helper()
	c, _ := get(t, federationName, "cluster", cluster)
	return nanos(text(c, "status", "price", "cpuHour"))
}

// nanos reads a quantity as prices are written: "0.0416" or "41600u".
func nanos(quantity string) int {
	var number float64
	var unit string
	if _, err := fmt.Sscanf(quantity, "%f%s", &number, &unit); err != nil && number == 0 {
		return 0
	}
	return int(number * map[string]float64{"": 1e9, "m": 1e6, "u": 1e3, "n": 1}[unit])
}

// servers are the processes of demo-web that run in a member.
func servers(t *testing.T, member string) (pids []int) {
	t.Helper()
	of := fmt.Sprint(apiProcesses(t)[member])
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		data, _ := os.ReadFile(path) // it may have ended meanwhile
		if f := strings.Fields(string(data)); len(f) > 3 && f[1] == "(demo-web)" && f[3] == of {
			pid, _ := strconv.Atoi(f[0])
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		t.Fatalf("no process of demo-web runs in %s", member)
	}
	return pids
}

// TestClouds: clouds tell of zones and prices; what they say of zones shows, degrades, and moves nothing by itself; replicas follow
// prices where a policy says so. Who is refused by a cloud keeps what he knew.
func TestClouds(t *testing.T) {
	ns := namespace(t, "clouds")
	for _, m := range members {
		judged(t, m, "Ready", 60*time.Second)
		cloudSays(t, m, "CloudAnswers", "Available")
	}
	apply(t, federationName, into(ns, webDeployment))
	synced(t, ns, 60*time.Second)
	before := fmt.Sprint(shares(t, ns, "web"))
	stay := func(when string) {
		t.Helper()
		if after := fmt.Sprint(shares(t, ns, "web")); after != before {
			t.Errorf("%s: replicas were at %s, and are at %s", when, before, after)
		}
	}

	t.Run("a zone is impaired", func(t *testing.T) {
		healed(t, "heal us-east-1a")
		clouds(t, "impair", "us-east-1a")
		cloudSays(t, "gondor", "CloudAnswers", "Impaired")
		judged(t, "gondor", "Degraded", 60*time.Second)
		if found := evidence(t, "gondor"); found["Cloud"] != "Impaired" {
			t.Errorf("the evidence is %v", found)
		}
		stay("gondor is degraded")
		clouds(t, "heal", "us-east-1a")
		judged(t, "gondor", "Ready", 60*time.Second)
		stay("gondor is ready again")
	})

	t.Run("a zone is impaired, and an endpoint there stops answering", func(t *testing.T) {
		healed(t, "heal us-east-1a")
		served := namespace(t, "served")
		kubectl(t, "create", "-n", served, "deployment", "web", "--image=kubefed.dev/demo-web:dev", "--replicas=3", "--port=8080")
		kubectl(t, "expose", "-n", served, "deployment", "web", "--type=LoadBalancer", "--port=80", "--target-port=8080")
		kubectl(t, "annotate", "-n", served, "service/web", "federation.kubefed.dev/dns-probe=http:///healthz")
		at := map[string]string{}
		for _, m := range members {
			at[m] = text(service(t, m, served), "status", "loadBalancer", "ingress", "0", "ip")
		}
		host := "web." + served + "." + federationName + ".svc.example.com"
		answering(t, "all members answer", dnsServer(t), 60*time.Second, map[string]string{host: joined(at, members...)})
		unwitnessed(t) // they confirm such a thing, too, sooner or later than the cloud
		clouds(t, "impair", "us-east-1a")
		cloudSays(t, "gondor", "CloudAnswers", "Impaired")
		judged(t, "gondor", "Degraded", 60*time.Second)
		answering(t, "an impaired zone takes nothing away", dnsServer(t), time.Second, map[string]string{host: joined(at, members...)})
		stopped := servers(t, "gondor")
		signal := func(s syscall.Signal) {
			for _, pid := range stopped {
				if err := syscall.Kill(pid, s); err != nil {
					t.Errorf("signal to process %d: %v", pid, err)
				}
			}
		}
		t.Cleanup(func() { signal(syscall.SIGCONT) })
		signal(syscall.SIGSTOP)
		eventually(t, "gondor's address withdrawn by the word of its cloud", 30*time.Second, func() (bool, string) {
			for _, g := range items(t, federationName, "globalendpoints", "-n", served) {
				list, _ := field(g, "status", "clusters").([]any)
				for _, c := range list {
					if c := c.(map[string]any); text(c, "name") == "gondor" {
						return strings.Contains(text(c, "message"), "its cloud says that zones of its cluster are impaired"), fmt.Sprint(c)
					}
				}
			}
			return false, "not told"
		})
		answering(t, "the others answer", dnsServer(t), 10*time.Second, map[string]string{host: joined(at, "rohan", "shire")})
		signal(syscall.SIGCONT)
		clouds(t, "heal", "us-east-1a")
		answering(t, "all members answer again", dnsServer(t), 120*time.Second, map[string]string{host: joined(at, members...)})
		judged(t, "gondor", "Ready", 60*time.Second)
		stay("an endpoint failed")
	})

	t.Run("replicas follow prices", func(t *testing.T) {
		healed(t, "price gondor 1", "price rohan 1")
		priced := namespace(t, "priced")
		clouds(t, "price", "rohan", "3")
		eventually(t, "rohan to be dearer", 60*time.Second, func() (bool, string) {
			g, r := price(t, "gondor"), price(t, "rohan")
			return g > 0 && r > g*3/2, fmt.Sprint(g, r)
		})
		apply(t, federationName, into(priced, propagation(`  clusterGroups: [{name: two, names: [gondor, rohan]}]
  replicaDivision:
    strategy: Price
    rebalance: true
    price: {maxSpot: 50%, minSavings: 10%, stableFor: 0s, overlap: 10s}
    clusters: [{names: [gondor], minReplicas: 1}, {names: [rohan]}]
  moves: {minimumStay: 0s}
`)))
		apply(t, federationName, into(priced, strings.Replace(fleet("Deployment", 4, ""), `image: "nginx:1.27"`, `image: "nginx:1.27", resources: {requests: {cpu: 100m}}`, 1)))
		placedAs(t, priced, "Deployment", "gondor 4", 60*time.Second)
		clouds(t, "price", "rohan", "1")
		clouds(t, "price", "gondor", "3")
		placedAs(t, priced, "Deployment", "gondor 1, rohan 3", 90*time.Second)
		clouds(t, "price", "rohan", "3")
		clouds(t, "price", "gondor", "1")
		placedAs(t, priced, "Deployment", "gondor 4", 90*time.Second)
	})

	t.Run("prices move", func(t *testing.T) {
		healed(t, "price gondor 1", "price rohan 1")
		for _, cluster := range []string{"gondor", "rohan"} {
			usual := price(t, cluster)
			if usual == 0 {
				t.Fatalf("the price of %s is not known", cluster)
			}
			costs := func(factor int) {
				t.Helper()
				clouds(t, "price", cluster, fmt.Sprint(factor))
				eventually(t, fmt.Sprintf("price of %s: %d times %d", cluster, factor, usual), 60*time.Second, func() (bool, string) {
					now := price(t, cluster)
					return now*100 > usual*factor*98 && now*100 < usual*factor*102, fmt.Sprint(now)
				})
			}
			costs(3)
			costs(1)
		}
		if price(t, "shire") == 0 {
			t.Error("the price of shire, a site, is not known")
		}
		stay("prices moved")
	})

	t.Run("credentials are revoked", func(t *testing.T) {
		healed(t, "restore aws", "restore gcp", "heal europe-west1-b")
		usual := price(t, "gondor")
		clouds(t, "impair", "europe-west1-b")
		cloudSays(t, "rohan", "CloudAnswers", "Impaired")
		for _, account := range []string{"aws", "gcp"} {
			clouds(t, "revoke", account)
		}
		cloudSays(t, "gondor", "Denied", "Available")
		cloudSays(t, "rohan", "Denied", "Impaired")
		cloudSays(t, "shire", "CloudAnswers", "Available")
		c, _ := get(t, federationName, "cluster", "gondor")
		if message := text(condition(c, "CloudKnown"), "message"); !strings.Contains(message, "what is known is of 20") {
			t.Errorf("the message does not tell the age of what is known: %s", message)
		}
		if now := price(t, "gondor"); now != usual {
			t.Errorf("the price of gondor was %d, and is %d", usual, now)
		}
		stay("credentials are revoked")
		for _, m := range []string{"gondor", "shire"} {
			judged(t, m, "Ready", time.Second)
		}
		for _, account := range []string{"aws", "gcp"} {
			clouds(t, "restore", account)
		}
		clouds(t, "heal", "europe-west1-b")
		cloudSays(t, "gondor", "CloudAnswers", "Available")
		cloudSays(t, "rohan", "CloudAnswers", "Available")
		judged(t, "rohan", "Ready", 60*time.Second)
	})
}
