package witness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/probe"
	"kubefed.dev/kubefed/pkg/witness/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stand is a member's API server with a witness behind it that says what a test has it say.
type stand struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []probe.Target
	answer func(probe.Target) probe.Sighting
	clock  time.Duration // ahead of everybody's
	hangs  bool
}

func newStand(t *testing.T) *stand {
	s := &stand{answer: func(probe.Target) probe.Sighting { return probe.Sighting{} }}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/namespaces/federation-system/services/witness/proxy/sightings" {
			http.NotFound(w, r)
			return
		}
		var request watch.Request
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.hangs {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
			return
		}
		s.asked = request.Targets
		response := watch.Response{Now: time.Now().Add(s.clock)}
		for _, target := range request.Targets {
			seen := s.answer(target)
			seen.At, seen.Since = response.Now.Add(-time.Second), response.Now.Add(-time.Minute)
			response.Sightings = append(response.Sightings, seen)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(response)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stand) says(answer func(probe.Target) probe.Sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func living(probe.Target) probe.Sighting { return probe.Sighting{Witness: "a liar", Alive: true} }
func dying(probe.Target) probe.Sighting  { return probe.Sighting{Message: "refused"} }

func member(name string, s *stand) *cluster.Member {
	return &cluster.Member{Name: name, Config: &rest.Config{Host: s.URL, QPS: -1, Transport: &http.Transport{DisableKeepAlives: true}}}
}

func eventually(t *testing.T, why func() string) {
	t.Helper()
	var reason string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if reason = why(); reason == "" {
			return
		}
	}
	t.Fatal(reason)
}

var shire = probe.Target{Cluster: "shire", Address: "192.0.2.1:443"}

// TestPanel: what witnesses say arrives under their own names and by the control plane's clock; one that hangs delays nobody; one
// that never saw a cluster alive can't tell; and none looks at its own.
func TestPanel(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	gondor, rohan, own, hung := newStand(t), newStand(t), newStand(t), newStand(t)
	gondor.clock, hung.hangs = 5*time.Hour, true
	gondor.says(living)
	rohan.says(dying)
	p := New()
	p.SetTargets(func() []probe.Target { return []probe.Target{shire} })
	for name, s := range map[string]*stand{"gondor": gondor, "rohan": rohan, "shire": own, "mordor": hung} {
		p.Engage(ctx, member(name, s))
	}
	eventually(t, func() string {
		if of := p.Of("shire"); len(of) != 2 || !of["gondor"][0].Alive || of["rohan"][0].Alive || of["rohan"][0].Known {
			return fmt.Sprintf("witnesses say %+v", of)
		}
		return ""
	})
	seen := p.Sightings(shire)
	if len(seen) != 1 || seen[0].Witness != "gondor" || time.Since(seen[0].At) > 10*time.Second || time.Since(seen[0].Since) > 2*time.Minute {
		t.Errorf("sightings that count: %+v", seen)
	}
	gondor.says(dying)
	eventually(t, func() string {
		if of := p.Of("shire"); of["gondor"] == nil || of["gondor"][0].Alive || !of["gondor"][0].Known {
			return fmt.Sprintf("witnesses say %+v", of)
		}
		return ""
	})
	own.mu.Lock()
	if len(own.asked) > 0 {
		t.Errorf("shire's witness was asked for %v", own.asked)
	}
	own.mu.Unlock()
	stop()
	eventually(t, func() string {
		if of := p.Of("shire"); len(of) > 0 {
			return fmt.Sprintf("members left, but witnesses say %v", of)
		}
		return ""
	})
}

// TestSilentWitness: two polls in vain, and a witness's last word counts no more: it may have died with what it saw alive. The first
// has the others polled at once, and more often for a while.
func TestSilentWitness(t *testing.T) {
	now := time.Now()
	p := New()
	dies, lives := &seat{known: map[probe.Target]bool{}, wake: make(chan struct{}, 1)}, &seat{known: map[probe.Target]bool{}, wake: make(chan struct{}, 1)}
	p.seats["gondor"], p.seats["rohan"] = dies, lives
	says := func(alive bool) watch.Response {
		return watch.Response{Now: now, Sightings: []probe.Sighting{{Alive: alive, At: now, Since: now}}}
	}
	heard := func() int { return len(p.Of("shire")) }
	p.take(dies, "gondor", []probe.Target{shire}, says(true), now)
	p.take(lives, "rohan", []probe.Target{shire}, says(true), now)
	if heard() != 2 || p.pause(now) != watch.Period {
		t.Fatalf("%d are heard, polled every %s", heard(), p.pause(now))
	}
	p.missed(dies, now)
	if heard() != 2 || p.pause(now) != watch.Retry || len(lives.wake) != 1 || len(dies.wake) != 0 {
		t.Errorf("after one poll in vain %d are heard, polled every %s, %d are woken", heard(), p.pause(now), len(lives.wake))
	}
	p.missed(dies, now)
	if heard() != 1 {
		t.Errorf("after two polls in vain %d are heard", heard())
	}
	if p.pause(now.Add(hurry)) != watch.Period {
		t.Error("a silent witness has the others polled often for ever")
	}
	p.take(dies, "gondor", []probe.Target{shire}, watch.Response{Now: now, Sightings: []probe.Sighting{{Message: "refused", At: now, Since: now}}}, now)
	if of := p.Of("shire")["gondor"]; len(of) != 1 || of[0].Alive || !of[0].Known {
		t.Errorf("the witness that is back says %+v, want that what it knew is dead", of)
	}
}

// TestChosen: five witnesses look at each cluster, and one more moves few of them.
func TestChosen(t *testing.T) {
	var all []string
	for i := range 40 {
		all = append(all, fmt.Sprintf("c%d", i))
	}
	looking := func(of string, all []string) (list []string) {
		for _, w := range all {
			others := slices.DeleteFunc(slices.Clone(all), func(o string) bool { return o == w })
			if w != of && chosen(w, of, others) {
				list = append(list, w)
			}
		}
		return list
	}
	moved := 0
	for _, of := range all {
		before, after := looking(of, all[:39]), looking(of, all)
		if len(before) != perCluster || len(after) != perCluster {
			t.Fatalf("%d and %d look at %s", len(before), len(after), of)
		}
		for _, w := range before {
			if !slices.Contains(after, w) {
				moved++
			}
		}
	}
	if moved > 15 {
		t.Errorf("one witness more moved %d of %d", moved, 40*perCluster)
	}
}
