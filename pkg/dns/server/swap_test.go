package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kubefed.dev/kubefed/pkg/dns"
)

// TestReplacingIsAtomic: while a name goes from addresses to a CNAME and back, no answer is empty or of both.
func TestReplacingIsAtomic(t *testing.T) {
	s := newServer(t, Config{RateLimit: -1})
	const name = "web.shop.fed.example."
	addresses := s.primaries["fed.example."].content.At(name)
	alias := []dns.RecordSet{set(name, dns.CNAME, "a.b.wild.fed.example.")}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				reply := ask(t, s, question(name, typeA))
				if got := text(reply); got != "NOERROR aa\nanswer: "+name+" 20 A 192.0.2.1\nanswer: "+name+" 20 A 192.0.2.2" &&
					got != "NOERROR aa\nanswer: a.b.wild.fed.example. 20 A 192.0.2.10\nanswer: "+name+" 20 CNAME a.b.wild.fed.example." {
					t.Errorf("half an answer: %s", got)
					return
				}
			}
		})
	}
	for i := range 300 {
		before, after := addresses, alias
		if i%2 == 1 {
			before, after = alias, addresses
		}
		r, err := s.Apply(t.Context(), "fed.example.", dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, []dns.Change{{Name: name, Before: before, After: after}})
		if err != nil || len(r.Failed) > 0 {
			t.Fatal(err, r.Failed)
		}
	}
	close(done)
	wg.Wait()
	checkServed(t, s)
}

// TestServedIsWhatIsStored: after any changes the zone in service, and the one that a restart loads, are what is stored.
func TestServedIsWhatIsStored(t *testing.T) {
	names := []string{"a", "b.a", "c.b.a", "*.b.a", "d.c.b.a", "x.y.z", "y.z", "z"}
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "zone")
		if err != nil {
			r.Fatal(err)
		}
		config := Config{Zones: []Zone{fedZone()}, Directory: dir, RateLimit: -1}
		s, err := New(config)
		if err != nil {
			r.Fatal(err)
		}
		for range rapid.IntRange(0, 12).Draw(r, "changes") {
			name := rapid.SampledFrom(names).Draw(r, "name") + ".fed.example."
			change := dns.Change{Name: name, Before: s.primaries["fed.example."].content.At(name)}
			if rapid.Bool().Draw(r, "there") {
				change.After = []dns.RecordSet{set(name, dns.A, fmt.Sprintf("192.0.2.%d", rapid.IntRange(1, 9).Draw(r, "address")))}
			}
			if _, err := s.Apply(t.Context(), "fed.example.", dns.Fence{Federation: "earth", Holder: "test", Epoch: 1}, []dns.Change{change}); err != nil {
				r.Fatal(err)
			}
		}
		checkServed(t, s)
		stored, _ := s.Records(t.Context(), "fed.example.")
		s.Wait()
		again, err := New(config)
		if err != nil {
			r.Fatal(err)
		}
		defer again.Wait()
		loaded, _ := again.Records(t.Context(), "fed.example.")
		if diff := cmp.Diff(stored, loaded); diff != "" {
			r.Errorf("(-stored +loaded):\n%s", diff)
		}
		checkServed(t, again)
	})
}

func TestFileOfAZone(t *testing.T) {
	config := Config{Zones: []Zone{fedZone()}, Directory: t.TempDir()}
	path := filepath.Join(config.Directory, "fed.example.zone")
	s := newServer(t, config)
	put(t, s, set("x.fed.example.", dns.A, "192.0.2.1"))
	stored, _ := s.Records(t.Context(), "fed.example.")
	s.Wait()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	write := func(data string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(whole) + `{"serial":4294967295,"added":[{"na`)
	again, err := New(config)
	if err != nil {
		t.Fatalf("with a line that was cut off: %v", err)
	}
	loaded, _ := again.Records(t.Context(), "fed.example.")
	again.Wait()
	if diff := cmp.Diff(stored, loaded); diff != "" {
		t.Errorf("with a line that was cut off (-stored +loaded):\n%s", diff)
	}
	write("not a zone\n" + string(whole))
	if _, err := New(config); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("with a file of something else: error %v", err)
	}
}

// TestFileThatCannotBeWritten: to answer with what is true is worth more than to remember it.
func TestFileThatCannotBeWritten(t *testing.T) {
	config := Config{Zones: []Zone{fedZone()}, Directory: filepath.Join(t.TempDir(), "zones")}
	if err := os.Mkdir(config.Directory, 0o700); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, config)
	defer s.Wait()
	s.primaries["fed.example."].store.close()
	if err := os.RemoveAll(config.Directory); err != nil {
		t.Fatal(err)
	}
	put(t, s, set("x.fed.example.", dns.A, "192.0.2.1"))
	if got := text(ask(t, s, question("x.fed.example.", typeA))); !strings.Contains(got, "192.0.2.1") {
		t.Error(got)
	}
	if err := os.Mkdir(config.Directory, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, s, set("y.fed.example.", dns.A, "192.0.2.1"))
	sets, _, err := loadStore(filepath.Join(config.Directory, "fed.example.zone"))
	if err != nil || len(sets) != len(s.primaries["fed.example."].content.Sets()) {
		t.Errorf("%d sets were saved once the directory was there again, %v", len(sets), err)
	}
}
