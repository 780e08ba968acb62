package e2e

import (
	"context"
	"fmt"
	"strings"
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

// TestClouds: clouds tell of zones and prices; what they say shows, degrades, and moves nothing by itself. Who is refused by a cloud keeps
// what he knew.
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
