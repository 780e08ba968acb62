package publish

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

func TestReleasedAt(t *testing.T) {
	gone := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	in := func(zone string, since time.Time, ttl time.Duration) outcome {
		r := &result{names: 3, maxTTL: ttl, absent: map[string]time.Time{}}
		if !since.IsZero() {
			r.absent["gondor"] = since
		}
		return outcome{zone: zone, result: r}
	}
	for _, test := range []struct {
		name  string
		zones []outcome
		now   time.Duration // after gone
		want  time.Duration // after gone; negative for not yet
		again time.Duration
	}{
		{"still answered", []outcome{in("a.", time.Time{}, 20*time.Second)}, time.Hour, -1, 0},
		{"a zone that was not read", []outcome{in("a.", gone, 20*time.Second), {zone: "b."}}, time.Hour, -1, 0},
		{"resolvers may hold it", []outcome{in("a.", gone, 20*time.Second)}, 10 * time.Second, -1, 40 * time.Second},
		{"TTL and slack are over", []outcome{in("a.", gone, 20*time.Second)}, time.Minute, 50 * time.Second, 0},
		{"the last zone and the highest TTL count", []outcome{in("a.", gone, 300*time.Second), in("b.", gone.Add(10*time.Second), 5*time.Second)}, 339 * time.Second, -1, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			at, again := releasedAt("gondor", test.zones, gone.Add(test.now))
			if test.want < 0 != (at == nil) || at != nil && !at.Time.Equal(gone.Add(test.want)) {
				t.Errorf("released at %v", at)
			}
			if again != test.again {
				t.Errorf("look again after %s, want %s", again, test.again)
			}
		})
	}
}

func TestCondition(t *testing.T) {
	f := facts{federation: "earth", zone: testZone, owned: func(string) bool { return true }, clusters: clusters("gondor"), read: func(Key, string) bool { return true }}
	well := func() *result { return &result{names: 6, basis: dns.OnHealth} }
	ready := zoneState{state: stateReady}
	for _, test := range []struct {
		name      string
		object    Object
		endpoint  Observed
		zone      outcome
		suspicion *dns.Suspicion
		want      string
	}{
		{name: "published", zone: outcome{testZone, ready, well()}, want: federation.ReasonPublished},
		{name: "not looked at", zone: outcome{testZone, zoneState{}, nil}, want: federation.ReasonPending},
		{name: "not seen everywhere", zone: outcome{testZone, ready, &result{names: 6, basis: dns.OnHealth, pending: true}}, want: federation.ReasonPending},
		{name: "the zone is down", zone: outcome{testZone, zoneState{state: "Unavailable", message: "no answer"}, well()}, want: federation.ReasonZoneUnavailable},
		{name: "someone else's", zone: outcome{testZone, ready, &result{names: 5, basis: dns.OnHealth, conflicts: []string{"x"}}}, want: federation.ReasonNameConflict},
		{name: "refused", zone: outcome{testZone, ready, &result{names: 5, basis: dns.OnHealth, invalid: []string{"x"}}}, want: federation.ReasonNameInvalid},
		{name: "all dead", zone: outcome{testZone, ready, &result{names: 6, basis: dns.OnLastKnown}}, want: federation.ReasonAllUnhealthy},
		{name: "nothing serves it", endpoint: at("gondor", dns.Unhealthy), zone: outcome{testZone, ready, &result{names: 6, basis: dns.OnNothing}}, want: federation.ReasonNoEndpoints},
		{name: "self in doubt", suspicion: &dns.Suspicion{Endpoints: 2, Of: 3}, zone: outcome{testZone, ready, well()}, want: federation.ReasonSuspectSelf},
		{name: "a bad annotation", object: service("web", federation.AnnotationDNSTTL+"=soon"), zone: outcome{testZone, ready, well()}, want: federation.ReasonInvalidSettings},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.object.Name == "" {
				test.object = service("web")
			}
			if test.endpoint.Cluster == "" {
				test.endpoint = at("gondor", dns.Healthy, "192.0.2.1")
			}
			e := f.entryOf(test.object, []Observed{test.endpoint})
			status, _ := statusOf(e, federation.GlobalEndpointsStatus{}, []outcome{test.zone}, test.suspicion, test.suspicion != nil, time.Now())
			if c := meta.FindStatusCondition(status.Conditions, federation.EndpointsPublished); c.Reason != test.want || c.Message == "" {
				t.Errorf("%+v, want reason %s", c, test.want)
			}
		})
	}
}

// TestStatusesGiveWay: statuses wait while a zone is being changed, not while it can't be.
func TestStatusesGiveWay(t *testing.T) {
	b := newBench(t, dns.NewMemory(dns.Limits{}, testZone), "gondor")
	w := newWriter(&Publisher{workers: []*worker{b.worker}})
	far := time.Now().Add(time.Hour)
	w.yield(t.Context(), far) // nothing to do
	b.put(service("web"), at("gondor", dns.Healthy, "192.0.2.1"))
	if !b.worker.busy() {
		t.Error("a zone with something to do is not busy")
	}
	w.yield(t.Context(), time.Now()) // waited long enough
	b.worker.at(false, true)
	w.yield(t.Context(), far) // it can't be written
	b.worker.at(false, false)
	b.start()
	w.yield(t.Context(), far)
	if r := b.worker.result(service("web").Ref()); r == nil || len(r.published) != 1 {
		t.Errorf("the zone was given way and has %+v", r)
	}
}
