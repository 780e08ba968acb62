package dns

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOwnershipRoundTrip(t *testing.T) {
	o := Ownership{Federation: "earth", Owner: Owner{Ref: "svc/shop/web", UID: "2f6c", Generation: 17}, Epoch: 42, Types: []Type{A, AAAA}, Hash: "0123456789abcdef"}
	const text = "v=1 fed=earth uid=2f6c owner=svc/shop/web gen=17 epoch=42 types=A,AAAA h=0123456789abcdef"
	if o.String() != text {
		t.Errorf("%s, want %s", o, text)
	}
	got, err := readOwnership(o.Record("web.example."))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o, got); diff != "" {
		t.Error(diff)
	}
	held := o
	held.Types = nil
	if got, err := ParseOwnership(held.String()); err != nil || !cmp.Equal(got, held) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseOwnershipRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"external-dns":    "heritage=external-dns,external-dns/owner=default",
		"SPF":             "v=spf1 -all",
		"doubled key":     "v=1 fed=earth fed=mars uid=1 owner=svc/a/b h=1",
		"no federation":   "v=1 uid=1 owner=svc/a/b h=1",
		"bad epoch":       "v=1 fed=earth uid=1 owner=svc/a/b h=1 epoch=x",
		"words":           "v=1 this is ours",
		"another version": "v=2 fed=earth",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseOwnership(text)
			if err == nil {
				t.Errorf("%+v", got)
			}
			if newer := strings.HasPrefix(text, "v=2"); newer != errors.Is(err, ErrVersion) && newer {
				t.Errorf("error %v, want ErrVersion", err)
			}
		})
	}
}

func TestOwnerNames(t *testing.T) {
	for name, want := range map[string]string{
		"web.example.":   "_kubefed.web.example.",
		"example.":       "_kubefed.example.",
		"*.web.example.": "_kubefed._wildcard.web.example.",
	} {
		if got := OwnerName(name); got != want {
			t.Errorf("OwnerName(%s) is %s, want %s", name, got, want)
		}
		if got, ok := ownedName(want); !ok || got != name {
			t.Errorf("ownedName(%s) is %s", want, got)
		}
	}
}

func FuzzParseOwnership(f *testing.F) {
	f.Add("v=1 fed=earth uid=2f6c owner=svc/shop/web gen=17 epoch=42 types=A,AAAA h=0123456789abcdef")
	f.Add("v=1 fed= uid=\x00 owner== types=,, h=h gen=-9223372036854775809")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOwnership(text)
		if err != nil {
			return
		}
		again, err := ParseOwnership(o.String())
		if err != nil || !cmp.Equal(o, again) {
			t.Errorf("%q reads as %+v, and what that writes as %+v, %v", text, o, again, err)
		}
	})
}

func FuzzTXT(f *testing.F) {
	f.Add("v=1", `"v=1" "x\034"`)
	f.Add(strings.Repeat("é\"\\", 200), `"\`)
	f.Fuzz(func(t *testing.T, text, data string) {
		if got, err := Unquote(Quote(text)); err != nil || got != text {
			t.Errorf("%q comes back as %q, %v", text, got, err)
		}
		if read, err := Unquote(data); err == nil {
			if again, err := Unquote(Quote(read)); err != nil || again != read {
				t.Errorf("%q reads as %q, and that as %q, %v", data, read, again, err)
			}
		}
	})
}

// TestHashOfLines: what zones hold was digested in this form.
func TestHashOfLines(t *testing.T) {
	for _, s := range []RecordSet{
		{Name: "web.example.", Type: A, TTL: 20, Data: []string{"192.0.2.1", "192.0.2.2"}},
		{Name: "web.example.", Type: TXT, TTL: 5, Data: []string{`"a \"b\" é"`}, SetID: "gondor"},
		{Name: "web.example.", Type: AAAA, SetID: "x", Routing: Routing{Policy: Weighted, Weight: 7, Provider: "aws", Region: "eu-west-1"}},
		{Name: "web.example.", Type: A, Alias: Alias{Zone: "Z", Name: "lb.example.", EvaluateHealth: true}},
		{Name: "web.example.", Type: A, SetID: "x", Health: HealthCheck{Type: "TCP", Port: 80}},
	} {
		want := strings.TrimSuffix(fmt.Sprintf("%s %s %d %q %q %+v", s.Name, s.Type, s.TTL, s.SetID, s.Data, s.Routing), " Backup:false}") + "}"
		if s.Alias != (Alias{}) {
			want += fmt.Sprintf(" %+v", s.Alias)
		}
		if s.Health != (HealthCheck{}) {
			want += fmt.Sprintf(" %+v", s.Health)
		}
		if got := string(s.appendLine(nil)); got != want+"\n" {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
