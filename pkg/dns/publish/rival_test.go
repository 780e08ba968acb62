package publish

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubefed.dev/kubefed/pkg/dns"
)

// TestRival: another process keeps the zones once it is seen to renew the Lease, not one that held it before this began.
func TestRival(t *testing.T) {
	for name, test := range map[string]struct {
		seen []string // holder, and whether it renewed
		want bool
	}{
		"itself":                   {[]string{"me+", "me+", "me+"}, false},
		"nobody":                   {[]string{"+", "+"}, false},
		"one that died":            {[]string{"old", "old", "old"}, false},
		"one that died, then I":    {[]string{"old", "old", "me+", "me+"}, false},
		"another":                  {[]string{"other", "other+"}, true},
		"another takes over":       {[]string{"me+", "other+", "other+"}, true},
		"another that takes it up": {[]string{"old", "other+"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var s sighting
			now, led := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), false
			for _, text := range test.seen {
				holder := text
				if text[len(text)-1] == '+' {
					holder, now = text[:len(text)-1], now.Add(time.Second)
				}
				lease := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &metav1.MicroTime{Time: now}}}
				led = s.leads(lease, "me")
			}
			if led != test.want {
				t.Errorf("another leads: %v", led)
			}
		})
	}
}

// TestCurrent: a zone is put into service once it holds what it should, and not again.
func TestCurrent(t *testing.T) {
	p := dns.NewMemory(dns.Limits{}, testZone)
	b := newBench(t, p, "gondor")
	b.put(service("web"), at("gondor", dns.Healthy, "192.0.2.1"))
	reached := make(chan []string, 9)
	b.worker.reached = func() error {
		reached <- addresses(t, p, b.names(service("web")).Global())
		return nil
	}
	b.start()
	if got := <-reached; len(got) != 1 {
		t.Errorf("it was put into service with %v", got)
	}
	b.worker.again(nil, true)
	b.put(service("shop"), at("gondor", dns.Healthy, "192.0.2.2"))
	b.answers(p, b.names(service("shop")).Global(), "192.0.2.2")
	if len(reached) > 0 {
		t.Error("it was put into service again")
	}
}
