package dns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func a(name string, data ...string) RecordSet {
	return RecordSet{Name: name, Type: A, TTL: 20, Data: data}
}

// owned is a name as the federation writes it.
func owned(fed, ref, name string, sets ...RecordSet) []RecordSet {
	o := Ownership{Federation: fed, Owner: Owner{Ref: ref, UID: "u"}, Types: typesOf(sets), Hash: HashOf(sets)}
	return append(sets, o.Record(name))
}

func planText(p Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s\n", c.Name)
		for sign, sets := range map[string][]RecordSet{"-": c.Before, "+": c.After} {
			for _, s := range sets {
				if s.Type != TXT {
					fmt.Fprintf(&b, "%s %s\n", sign, s)
				}
			}
		}
	}
	for _, c := range p.Conflicts {
		fmt.Fprintf(&b, "conflict %s of %s: %s\n", c.Name, c.Owner.Ref, c.Reason)
	}
	for _, o := range p.Orphans {
		fmt.Fprintf(&b, "orphan %s of %s\n", o.Name, o.Owner.Ref)
	}
	for _, c := range p.Held {
		fmt.Fprintf(&b, "held %s\n", c.Name)
	}
	return b.String()
}

func TestPlan(t *testing.T) {
	const name = "web.fed.example."
	ref := Owner{Ref: "svc/shop/web", UID: "u"}
	claim := func(sets ...RecordSet) []Claim { return []Claim{{Name: name, Owner: ref, Sets: sets}} }
	for _, test := range []struct {
		name     string
		existing []RecordSet
		claims   []Claim
		known    string
		gone     bool
		want     string
	}{
		{name: "new", claims: claim(a(name, "192.0.2.1")), want: name + "\n+ web.fed.example. 20 A 192.0.2.1\n"},
		{name: "as it should be", existing: owned("earth", ref.Ref, name, a(name, "192.0.2.1")), claims: claim(a(name, "192.0.2.1"))},
		{name: "held without data", existing: owned("earth", ref.Ref, name, a(name, "192.0.2.1")), claims: claim(), want: name + "\n- web.fed.example. 20 A 192.0.2.1\n"},
		{name: "foreign address", existing: []RecordSet{a(name, "198.51.100.1")}, claims: claim(a(name, "192.0.2.1")),
			want: "conflict web.fed.example. of svc/shop/web: someone else's record is there: web.fed.example. 20 A 198.51.100.1; remove it, or adopt it by stating it as it is\n"},
		{name: "foreign CNAME", existing: []RecordSet{{Name: name, Type: CNAME, TTL: 20, Data: []string{"x.example."}}}, claims: claim(a(name, "192.0.2.1")),
			want: "conflict web.fed.example. of svc/shop/web: someone else's record is there: web.fed.example. 20 CNAME x.example.; remove it, or adopt it by stating it as it is\n"},
		{name: "beside a foreign TXT", existing: []RecordSet{{Name: name, Type: TXT, TTL: 1, Data: []string{`"v=spf1"`}}}, claims: claim(a(name, "192.0.2.1")),
			want: name + "\n+ web.fed.example. 20 A 192.0.2.1\n"},
		{name: "adopted", existing: []RecordSet{a(name, "198.51.100.1")},
			claims: []Claim{{Name: name, Owner: ref, Sets: []RecordSet{a(name, "192.0.2.1")}, Adopt: []RecordSet{a(name, "198.51.100.1")}}},
			want:   name + "\n- web.fed.example. 20 A 198.51.100.1\n+ web.fed.example. 20 A 192.0.2.1\n"},
		{name: "not quite what may be adopted", existing: []RecordSet{a(name, "198.51.100.2")},
			claims: []Claim{{Name: name, Owner: ref, Sets: []RecordSet{a(name, "192.0.2.1")}, Adopt: []RecordSet{a(name, "198.51.100.1")}}},
			want:   "conflict web.fed.example. of svc/shop/web: someone else's record is there: web.fed.example. 20 A 198.51.100.2; remove it, or adopt it by stating it as it is\n"},
		{name: "another federation's", existing: owned("mars", ref.Ref, name, a(name, "192.0.2.1")), claims: claim(a(name, "192.0.2.1")),
			want: "conflict web.fed.example. of svc/shop/web: the name is owned by federation mars; use another name, or remove _kubefed.web.fed.example.\n"},
		{name: "another object's", existing: owned("earth", "ing/shop/old", name, a(name, "192.0.2.9")), claims: claim(a(name, "192.0.2.1")),
			want: "conflict web.fed.example. of svc/shop/web: the name is owned by ing/shop/old; use another host name, or delete that object\n"},
		{name: "another object's that is gone", gone: true, existing: owned("earth", "ing/shop/old", name, a(name, "192.0.2.9")), claims: claim(a(name, "192.0.2.1")),
			want: name + "\n- web.fed.example. 20 A 192.0.2.9\n+ web.fed.example. 20 A 192.0.2.1\n"},
		{name: "an orphan stays", existing: owned("earth", "svc/shop/old", name, a(name, "192.0.2.9")), want: "orphan web.fed.example. of svc/shop/old\n"},
		{name: "what is gone goes", gone: true, existing: owned("earth", "svc/shop/old", name, a(name, "192.0.2.9")), want: name + "\n- web.fed.example. 20 A 192.0.2.9\n"},
		{name: "what a known owner claims no more goes", known: "svc/shop/old", existing: owned("earth", "svc/shop/old", name, a(name, "192.0.2.9")), want: name + "\n- web.fed.example. 20 A 192.0.2.9\n"},
		{name: "stale: addresses come, none goes", existing: owned("earth", ref.Ref, name, a(name, "192.0.2.1")),
			claims: []Claim{{Name: name, Owner: ref, Sets: []RecordSet{a(name, "192.0.2.2")}, Stale: true}},
			want:   name + "\n- web.fed.example. 20 A 192.0.2.1\n+ web.fed.example. 20 A 192.0.2.1, 192.0.2.2\n"},
		{name: "two objects, one name", claims: append(claim(a(name, "192.0.2.1")), Claim{Name: name, Owner: Owner{Ref: "svc/shop/zzz"}}),
			want: name + "\n+ web.fed.example. 20 A 192.0.2.1\nconflict web.fed.example. of svc/shop/zzz: another object of the federation claims the name; use another host name\n"},
		{name: "outside", claims: []Claim{{Name: "web.example.", Owner: ref, Sets: []RecordSet{a("web.example.", "192.0.2.1")}}},
			want: "conflict web.example. of svc/shop/web: the name is outside zone fed.example.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := MakePlan(PlanInput{Federation: "earth", Epoch: 2, Zone: Zone{Name: "fed.example."}, Claims: test.claims,
				Known: map[string]bool{test.known: true}, Existing: Snapshot{Sets: test.existing},
				Gone: func(string, Owner) bool { return test.gone }})
			got := planText(p)
			if len(p.Changes) == 1 && strings.Index(got, "\n+") < strings.Index(got, "\n-") && strings.Contains(got, "\n+") {
				lines := strings.Split(strings.TrimSpace(got), "\n")
				got = lines[0] + "\n" + lines[2] + "\n" + lines[1] + "\n"
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanHoldsManyRemovals(t *testing.T) {
	var existing []RecordSet
	for i := range 30 {
		name := fmt.Sprintf("n%02d.fed.example.", i)
		existing = append(existing, owned("earth", "svc/shop/web", name, a(name, "192.0.2.1"))...)
	}
	in := PlanInput{Federation: "earth", Zone: Zone{Name: "fed.example."}, Known: map[string]bool{"svc/shop/web": true}, Existing: Snapshot{Sets: existing}}
	if p := MakePlan(in); len(p.Held) != 30 || len(p.Changes) != 0 {
		t.Errorf("%d held, %d changes", len(p.Held), len(p.Changes))
	}
	in.Gone = func(string, Owner) bool { return true }
	if p := MakePlan(in); len(p.Held) != 0 || len(p.Changes) != 30 {
		t.Errorf("%d held, %d changes, when their owner is known to be gone", len(p.Held), len(p.Changes))
	}
}

func TestPlanRepairs(t *testing.T) {
	const name = "web.fed.example."
	existing := owned("earth", "svc/shop/web", name, a(name, "192.0.2.1"))
	existing[0].Data = []string{"203.0.113.66"}
	p := MakePlan(PlanInput{Federation: "earth", Zone: Zone{Name: "fed.example."}, Existing: Snapshot{Sets: existing},
		Claims: []Claim{{Name: name, Owner: Owner{Ref: "svc/shop/web", UID: "u"}, Sets: []RecordSet{a(name, "192.0.2.1")}}}})
	if len(p.Changes) != 1 || !cmp.Equal(p.Repairs, []string{name}) {
		t.Errorf("%+v", p)
	}
}

func TestBrake(t *testing.T) {
	subjects := func(states ...State) []Subject {
		var endpoints []Endpoint
		for i, s := range states {
			address := fmt.Sprintf("192.0.2.%d", i+1)
			endpoints = append(endpoints, Endpoint{Cluster: fmt.Sprint("c", i), Addresses: addrs(address), State: s, Doubtful: s == Unhealthy})
		}
		s := web(Settings{}, endpoints...)
		s.Published = addrs("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
		return []Subject{s}
	}
	for _, test := range []struct {
		name    string
		states  []State
		suspect bool
	}{
		{"one of two", []State{Unhealthy, Healthy}, false},
		{"two of two", []State{Unhealthy, Unhealthy}, true},
		{"one of four", []State{Unhealthy, Healthy, Healthy, Healthy}, false},
		{"two of four", []State{Unhealthy, Unhealthy, Healthy, Healthy}, true},
		{"two of six", []State{Unhealthy, Unhealthy, Healthy, Healthy, Healthy, Healthy}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			held, suspicion := Brake(subjects(test.states...))
			if (suspicion != nil) != test.suspect {
				t.Errorf("suspicion: %v", suspicion)
			}
			chosen, _ := Choose(held[0])
			if test.suspect && len(chosen) != len(test.states) {
				t.Errorf("%d endpoints answer, want all: %s", len(chosen), suspicion)
			}
		})
	}
	facts := subjects(Unhealthy, Unhealthy, Healthy)
	for i := range facts[0].Endpoints {
		facts[0].Endpoints[i].Doubtful = false
	}
	if _, suspicion := Brake(facts); suspicion != nil {
		t.Errorf("on facts: %s", suspicion)
	}
}
