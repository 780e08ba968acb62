package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Which test holds which invariant of the record model: I1, I2 NeverEmpty; I3 OldKnowledgeRemovesNothing; I4 and I10 Plan;
// I5, I6, I7, I8, I9, I14 Records; I12 Fence; I13 Release; I15 dnstest; I16 OneClusterAlone; I17 Removals; I18 Settled;
// I19 Restart; I11 and I20 in pkg/dns/server.

var states = []State{Healthy, Degraded, Unhealthy, Unknown, Draining}

func genEndpoint(t *rapid.T, i int) Endpoint {
	e := Endpoint{
		Cluster:  fmt.Sprint("c", i),
		Provider: rapid.SampledFrom([]string{"", "aws", "gcp"}).Draw(t, "provider"),
		Region:   rapid.SampledFrom([]string{"", "east", "west"}).Draw(t, "region"),
		Zones:    rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 2).Draw(t, "zones"),
		Weight:   rapid.Uint32Range(0, 3).Draw(t, "weight"),
		Order:    rapid.IntRange(0, 2).Draw(t, "order"),
		// A provider asks one port of all endpoints of a set.
		ProbePort: rapid.SampledFrom([]uint16{80, 80, 81, 0}).Draw(t, "probePort"),
		State:     rapid.SampledFrom(states).Draw(t, "state"),
		Doubtful:  rapid.Bool().Draw(t, "doubtful"),
	}
	for j := range rapid.IntRange(0, 3).Draw(t, "v4") {
		e.Addresses = append(e.Addresses, netip.AddrFrom4([4]byte{192, 0, byte(i), byte(j + 1)}))
	}
	for j := range rapid.IntRange(0, 2).Draw(t, "v6") {
		e.Addresses = append(e.Addresses, netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::%d", i, j+1)))
	}
	if rapid.Bool().Draw(t, "ports") {
		e.Ports = []Port{{"http", "tcp", uint16(80 + i)}}
	}
	return e
}

func genSubject(t *rapid.T) Subject {
	s := web(Settings{
		Policy:         rapid.SampledFrom([]Policy{"", All, Weighted, Nearest, Ordered}).Draw(t, "policy"),
		Fallback:       rapid.SampledFrom([]Fallback{"", Flatten, ToWider, Strict}).Draw(t, "fallback"),
		WhenDead:       rapid.SampledFrom([]WhenDead{"", Static, Open, Closed, Sorry}).Draw(t, "dead"),
		SorryAddresses: addrs("198.51.100.9", "2001:db8:ffff::9"),
		Health:         rapid.SampledFrom([]HealthCheck{{}, {Type: "TCP"}}).Draw(t, "health"),
	})
	for i := range rapid.IntRange(0, 5).Draw(t, "endpoints") {
		s.Endpoints = append(s.Endpoints, genEndpoint(t, i))
	}
	for _, e := range s.Endpoints {
		if rapid.Bool().Draw(t, "published") {
			s.Published = append(s.Published, e.Addresses...)
		}
	}
	if rapid.Bool().Draw(t, "host") {
		s.Hosts = []string{"*.shop.fed.example."}
	}
	s.Urgent = rapid.Bool().Draw(t, "urgent")
	return s
}

func genLimits(t *rapid.T) Limits {
	region := rapid.SampledFrom([]func(provider, region string) string{nil,
		func(provider, region string) string { return map[string]string{"east": "e1", "west": "w1"}[region] },
		func(string, string) string { return "e1" },
	}).Draw(t, "region")
	ask := rapid.SampledFrom([]func(netip.Addr) bool{nil, func(netip.Addr) bool { return true }, netip.Addr.Is4}).Draw(t, "healthChecks")
	return Limits{Region: region, HealthChecks: ask, Routing: rapid.Bool().Draw(t, "routing"), Spread: rapid.Bool().Draw(t, "spread"), OnlyWeighted: rapid.Bool().Draw(t, "onlyWeighted"),
		Sparse: rapid.Bool().Draw(t, "sparse"), MinTTL: rapid.SampledFrom([]uint32{0, 10}).Draw(t, "minTTL")}
}

func global(a Answer) Claim { return a.Claims[slices.IndexFunc(a.Claims, isGlobal)] }

func isGlobal(c Claim) bool { return c.Name == "web.shop.earth.svc.fed.example." }

func TestNeverEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSubject(t)
		g := global(Records(s, genLimits(t)))
		healthy, kept := false, false
		for _, e := range s.Endpoints {
			healthy = healthy || e.State == Healthy && len(e.Addresses) > 0
			kept = kept || e.State == Unknown && slices.ContainsFunc(e.Addresses, func(a netip.Addr) bool { return slices.Contains(s.Published, a) })
		}
		if len(g.Sets) == 0 && healthy {
			t.Errorf("I1: the global name is empty while an endpoint is healthy")
		}
		if len(g.Sets) == 0 && kept {
			t.Errorf("I2: the global name is empty because an endpoint became unknown")
		}
	})
}

func TestRecordsInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSubject(t)
		answer := Records(s, genLimits(t))
		if len(answer.Refused) > 0 {
			t.Fatalf("refused: %v", answer.Refused)
		}
		byName := map[string]Claim{}
		for _, c := range answer.Claims {
			if _, twice := byName[c.Name]; twice {
				t.Errorf("%s is claimed twice", c.Name)
			}
			byName[c.Name] = c
		}
		known := slices.Clone(s.Settings.SorryAddresses)
		for _, e := range s.Endpoints {
			known = append(known, e.Addresses...)
		}
		for _, c := range answer.Claims {
			checkSets(t, c, known)
			checkFamilies(t, c, s)
			checkTargets(t, c, byName)
		}
	})
}

func checkSets(t *rapid.T, c Claim, known []netip.Addr) {
	ttl := map[Type]uint32{}
	keys := map[Key]bool{}
	for _, set := range c.Sets {
		if err := set.Check(); err != nil {
			t.Errorf("I7: %v", err)
		}
		if keys[set.Key()] {
			t.Errorf("%s is there twice", set)
		}
		keys[set.Key()] = true
		if first, ok := ttl[set.Type]; ok && first != set.TTL || set.TTL == 0 {
			t.Errorf("I6: %s has TTL %d and %d", c.Name, first, set.TTL)
		}
		ttl[set.Type] = set.TTL
		if set.Type == CNAME && len(c.Sets) > 1 {
			t.Errorf("I5: a CNAME beside other data: %v", c.Sets)
		}
		for _, d := range set.Data {
			if a, err := netip.ParseAddr(d); err == nil && !slices.Contains(known, a) {
				t.Errorf("I8: %s is nobody's address", d)
			}
		}
		if (set.Type == A || set.Type == AAAA) && len(set.Data) > maxAddresses {
			t.Errorf("%d addresses in %s", len(set.Data), set)
		}
	}
}

// checkFamilies: the endpoints are selected once, and each of them is in both families if it has both.
func checkFamilies(t *rapid.T, c Claim, s Subject) {
	for _, family := range []Type{A, AAAA} {
		var data []string
		for _, set := range c.Sets {
			if set.Type == CNAME || set.Type == SRV || slices.Contains(set.Data, "198.51.100.9") || slices.Contains(set.Data, "2001:db8:ffff::9") {
				return
			}
			if set.Type == family {
				data = append(data, set.Data...)
			}
		}
		for _, e := range s.Endpoints {
			has, published := false, false
			for _, a := range e.Addresses {
				has = has || a.Is4() == (family == A)
				published = published || a.Is4() == (family == A) && slices.Contains(data, a.String())
			}
			if slices.Contains(c.Backups, e.Cluster) {
				continue // of the families that the first have
			}
			if want := has && slices.Contains(c.Clusters, e.Cluster) && len(c.Sets) > 0; published != want {
				t.Errorf("I9: cluster %s in %s of %s: %v, want %v, of clusters %v", e.Cluster, family, c.Name, published, want, c.Clusters)
			}
		}
	}
}

// checkTargets follows CNAMEs and SRV targets.
func checkTargets(t *rapid.T, c Claim, byName map[string]Claim) {
	for _, set := range c.Sets {
		if set.Type == SRV {
			for _, d := range set.Data {
				if target := strings.Fields(d)[3]; len(byName[target].Sets) == 0 {
					t.Errorf("I14: %s leads to nothing", set)
				}
			}
		}
	}
	steps := 0
	for at := c; len(at.Sets) == 1 && at.Sets[0].Type == CNAME; steps++ {
		next := byName[at.Sets[0].Data[0]]
		if len(next.Sets) == 0 || steps == 3 {
			t.Errorf("I14: %s leads to nothing, or in circles, after %d steps", c.Name, steps)
			return
		}
		at = next
	}
}

// world is a zone in memory, with someone else's records in it.
type world struct {
	provider *Memory
	foreign  []RecordSet
}

func genWorld(t *rapid.T) world {
	w := world{provider: NewMemory(genLimits(t), "fed.example.")}
	names := []string{"web.shop.earth.svc.fed.example.", "web.shop.earth.svc.east.fed.example.", "c0.cluster.web.shop.earth.svc.fed.example.", "other.fed.example."}
	for _, name := range names {
		switch rapid.IntRange(0, 6).Draw(t, "foreign") {
		case 1:
			w.foreign = append(w.foreign, a(name, "203.0.113.1"))
		case 2:
			w.foreign = append(w.foreign, RecordSet{Name: name, Type: CNAME, TTL: 5, Data: []string{"elsewhere.example."}})
		case 3:
			w.foreign = append(w.foreign, RecordSet{Name: name, Type: TXT, TTL: 5, Data: []string{`"v=spf1 -all"`}})
		case 4:
			w.foreign = append(w.foreign, owned("mars", "svc/shop/web", name, a(name, "203.0.113.2"))...)
		}
	}
	z := w.provider.zones["fed.example."]
	z.content = NewContent("fed.example.", w.foreign)
	return w
}

func (w world) limits() Limits { return w.provider.limits }

func (w world) snapshot(t *rapid.T) Snapshot {
	s, err := w.provider.Records(context.Background(), "fed.example.")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w world) plan(t *rapid.T, claims []Claim, known bool) Plan {
	return MakePlan(PlanInput{Federation: "earth", Epoch: 1, Zone: Zone{"fed.example.", w.limits()}, Claims: claims,
		Known: map[string]bool{"svc/shop/web": known}, Existing: w.snapshot(t)})
}

func (w world) apply(t *rapid.T, changes []Change) {
	for range 2 { // I10: a batch may be repeated.
		r, err := w.provider.Apply(context.Background(), "fed.example.", Fence{"earth", "test", 1}, changes)
		if err != nil || len(r.Failed) > 0 {
			t.Fatalf("applying: %v, failed %+v", err, r.Failed)
		}
	}
}

func TestPlanInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := genWorld(t)
		for range rapid.IntRange(1, 3).Draw(t, "steps") {
			s := genSubject(t)
			s.Published = Published(w.snapshot(t), "earth")["svc/shop/web"]
			claims := Records(s, w.limits()).Claims
			plan := w.plan(t, claims, true)
			checkOwned(t, plan, w)
			checkBatches(t, plan.Changes)
			w.apply(t, plan.Changes)
			after := w.snapshot(t)
			for _, f := range w.foreign {
				if !slices.ContainsFunc(after.Sets, func(s RecordSet) bool { return Same(s, f) }) {
					t.Fatalf("someone else's %s was touched", f)
				}
			}
			for _, set := range after.Sets {
				if set.TTL < w.limits().MinTTL && !slices.ContainsFunc(w.foreign, func(f RecordSet) bool { return Same(f, set) }) && set.Name != LeaseName("fed.example.", "earth") {
					t.Errorf("I6: %s is below the provider's TTL", set)
				}
			}
			if again := w.plan(t, claims, true); len(again.Changes) > 0 {
				t.Fatalf("I18: there is still something to do: %s", planText(again))
			}
		}
	})
}

// checkOwned: a record that is made, changed or removed has its ownership record in the same change; where changes are sparse, that
// or a record that it replaces.
func checkOwned(t *rapid.T, plan Plan, w world) {
	for _, c := range plan.Changes {
		side := c.After
		if len(c.After) == 0 {
			side = c.Before
		}
		i := slices.IndexFunc(side, func(s RecordSet) bool { return s.Name == OwnerName(c.Name) })
		if i < 0 && w.limits().Sparse && len(c.Before) > 0 {
			side = NewContent("fed.example.", w.snapshot(t).Sets).At(OwnerName(c.Name))
			i = len(side) - 1
		}
		if i < 0 {
			t.Fatalf("I4: %s is changed without its ownership record", c.Name)
		}
		o, err := readOwnership(side[i])
		if err != nil || o.Federation != "earth" {
			t.Errorf("I4: ownership %+v, %v", o, err)
		}
		for _, b := range c.Before {
			if slices.ContainsFunc(w.foreign, func(f RecordSet) bool { return Same(f, b) }) {
				t.Errorf("I4: someone else's %s is to be changed", b)
			}
		}
	}
}

func checkBatches(t *rapid.T, changes []Change) {
	limits := Limits{MaxChanges: rapid.IntRange(1, 40).Draw(t, "maxChanges"), MaxBytes: rapid.IntRange(100, 4000).Draw(t, "maxBytes")}
	batches, failed := Batches(changes, limits)
	total := len(failed)
	for _, batch := range batches {
		total += len(batch)
		records, octets := 0, 0
		for _, c := range batch {
			r, o := c.Size()
			records, octets = records+r, octets+o
		}
		if records > limits.MaxChanges || octets > limits.MaxBytes || len(batch) == 0 {
			t.Errorf("I10: a batch of %d records and %d octets, limits %+v", records, octets, limits)
		}
	}
	if total != len(changes) {
		t.Errorf("%d changes became %d", len(changes), total)
	}
}

// contains says whether each address of before is still at its name.
func checkNothingWent(t *rapid.T, invariant string, before, after Snapshot) {
	for _, b := range before.Sets {
		if b.Type != A && b.Type != AAAA {
			continue
		}
		for _, d := range b.Data {
			if !slices.ContainsFunc(after.Sets, func(s RecordSet) bool {
				return s.Name == b.Name && s.Type == b.Type && slices.Contains(s.Data, d)
			}) {
				t.Errorf("%s: %s went from %s", invariant, d, b.Name)
			}
		}
	}
}

func TestOldKnowledgeRemovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := genWorld(t)
		w.apply(t, w.plan(t, Records(genSubject(t), w.limits()).Claims, true).Changes)
		before := w.snapshot(t)
		s := genSubject(t)
		s.Stale = true
		w.apply(t, w.plan(t, Records(s, w.limits()).Claims, false).Changes)
		checkNothingWent(t, "I3", before, w.snapshot(t))
	})
}

// TestRestart: a controller that starts knows the clusters and nothing of their health.
func TestRestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := genWorld(t)
		s := genSubject(t)
		s.Urgent = false
		s.Settings.Policy = rapid.SampledFrom([]Policy{All, Nearest}).Draw(t, "policy")
		w.apply(t, w.plan(t, Records(s, w.limits()).Claims, true).Changes)
		before := w.snapshot(t)
		restarted := s
		restarted.Published = Published(before, "earth")["svc/shop/web"]
		restarted.Endpoints = slices.Clone(s.Endpoints)
		for i, e := range restarted.Endpoints {
			if e.State == Healthy || e.State == Degraded || e.State == Unknown {
				restarted.Endpoints[i].State = Unknown
			}
		}
		claims := Records(restarted, w.limits()).Claims
		w.apply(t, w.plan(t, claims, true).Changes)
		if _, basis := Choose(s); basis == OnHealth {
			checkNothingWent(t, "I19", before, w.snapshot(t))
		}
	})
}

func TestOneClusterAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSubject(t)
		if len(s.Endpoints) == 0 {
			return
		}
		limits := genLimits(t)
		good := Records(s, limits)
		bad := s
		bad.Endpoints = slices.Clone(s.Endpoints)
		i := rapid.IntRange(0, len(s.Endpoints)-1).Draw(t, "bad")
		e := &bad.Endpoints[i]
		e.Region = rapid.SampledFrom([]string{e.Region, "not a label", strings.Repeat("r", 64), "svc"}).Draw(t, "badRegion")
		e.Zones = rapid.SampledFrom([][]string{e.Zones, {"a", "-"}, {""}}).Draw(t, "badZones")
		e.Addresses = rapid.SampledFrom([][]netip.Addr{e.Addresses, nil, addrs("0.0.0.0"), addrs("fe80::1")}).Draw(t, "badAddresses")
		now := Records(bad, limits)
		for _, c := range good.Claims {
			j := slices.IndexFunc(now.Claims, func(n Claim) bool { return n.Name == c.Name })
			if j < 0 {
				if !strings.Contains(c.Name, s.Endpoints[i].Region) && !strings.Contains(c.Name, "_tcp") {
					t.Errorf("I16: %s is not claimed any more", c.Name)
				}
				continue
			}
			cluster := s.Endpoints[i].Cluster
			contributes := slices.Contains(c.Clusters, cluster) || slices.Contains(now.Claims[j].Clusters, cluster) || good.Basis != now.Basis
			if !contributes && !cmp.Equal(c.Clusters, now.Claims[j].Clusters) && global(good).Name != "" && cmp.Equal(global(good).Clusters, global(now).Clusters) {
				t.Errorf("I16: %s changed with cluster %s, which does not contribute: %v, then %v", c.Name, cluster, c.Clusters, now.Claims[j].Clusters)
			}
		}
	})
}

func TestRemovalsAreBraked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var existing []RecordSet
		n := rapid.IntRange(0, 80).Draw(t, "names")
		for i := range n {
			name := fmt.Sprintf("n%d.fed.example.", i)
			existing = append(existing, owned("earth", fmt.Sprint("svc/shop/s", i%7), name, a(name, "192.0.2.1"))...)
		}
		known := map[string]bool{}
		for i := range 7 {
			known[fmt.Sprint("svc/shop/s", i)] = rapid.Bool().Draw(t, "known")
		}
		p := MakePlan(PlanInput{Federation: "earth", Zone: Zone{Name: "fed.example."}, Known: known, Existing: Snapshot{Sets: existing}})
		if len(p.Changes) > max(removeAlways, n*removePercent/100) {
			t.Errorf("I17: %d of %d names would go", len(p.Changes), n)
		}
		if len(p.Changes)+len(p.Held)+len(p.Orphans) != n {
			t.Errorf("%d names, %d go, %d are held, %d orphans", n, len(p.Changes), len(p.Held), len(p.Orphans))
		}
	})
}

// TestFence: whatever the order in which two writers' calls land, none of a lower epoch lands after one of a higher.
func TestFence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory(Limits{}, "fed.example.")
		highest := int64(0)
		for i := range rapid.IntRange(1, 20).Draw(t, "writes") {
			epoch := rapid.Int64Range(1, 4).Draw(t, "epoch")
			name := fmt.Sprintf("n%d.fed.example.", i)
			_, err := m.Apply(context.Background(), "fed.example.", Fence{"earth", "w", epoch}, []Change{{Name: name, After: []RecordSet{a(name, "192.0.2.1")}}})
			if fenced := err != nil; fenced != (epoch < highest) || fenced && KindOf(err) != Fenced {
				t.Fatalf("I12: epoch %d after %d: %v", epoch, highest, err)
			}
			highest = max(highest, epoch)
		}
	})
}

func TestReleaseInvariant(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		d := Departure{AbsentSince: map[string]time.Time{}, MaxTTL: time.Duration(rapid.IntRange(0, 600).Draw(t, "ttl")) * time.Second}
		now := start.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "now")) * time.Second)
		safe := true
		for i := range rapid.IntRange(1, 4).Draw(t, "servers") {
			since := time.Time{}
			if rapid.IntRange(0, 9).Draw(t, "absent") > 0 {
				since = start.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "since")) * time.Second)
			}
			d.AbsentSince[fmt.Sprint(i)] = since
			safe = safe && !since.IsZero() && now.Sub(since) >= d.MaxTTL+ResolverSlack
		}
		if got, why := MayRelease(d, now); got != safe {
			t.Errorf("I13: released %v, want %v: %s", got, safe, why)
		}
	})
}
