package check

import (
	"testing"

	"kubefed.dev/kubefed/pkg/dns"
)

func TestMatches(t *testing.T) {
	plain := dns.RecordSet{Type: dns.A, Data: []string{"192.0.2.1", "192.0.2.2"}}
	routed := dns.RecordSet{Type: dns.A, SetID: "gondor", Data: []string{"192.0.2.1"}}
	other := dns.RecordSet{Type: dns.A, SetID: "rohan", Data: []string{"192.0.2.2"}}
	alias := dns.RecordSet{Type: dns.A, SetID: "shire", Alias: dns.Alias{Zone: "Z1", Name: "web.elb.example."}}
	for _, test := range []struct {
		name string
		sets []dns.RecordSet
		got  []string
		want bool
	}{
		{"plain, all of it", []dns.RecordSet{plain}, plain.Data, true},
		{"plain, a part", []dns.RecordSet{plain}, routed.Data, false},
		{"routed, one of them", []dns.RecordSet{routed, other}, other.Data, true},
		{"routed, another", []dns.RecordSet{routed, other}, []string{"192.0.2.9"}, false},
		{"an alias, whatever it is now", []dns.RecordSet{routed, alias}, []string{"192.0.2.9"}, true},
		{"an alias, nothing", []dns.RecordSet{alias}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := matches(test.sets, test.got); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
