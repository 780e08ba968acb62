package dns_test

import (
	"net/netip"
	"testing"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/dnstest"
)

func TestMemoryConforms(t *testing.T) {
	for name, limits := range map[string]dns.Limits{
		"plain":   {},
		"routing": {Routing: true},
		"healthy": {Routing: true, Spread: true, HealthChecks: netip.Addr.IsGlobalUnicast},
		"sparse":  {Routing: true, OnlyWeighted: true, Spread: true, Sparse: true, MaxWeight: 1},
		"limited": {MaxChanges: 40, MaxBytes: 2000, MinTTL: 10},
	} {
		t.Run(name, func(t *testing.T) {
			dnstest.Run(t, dns.NewMemory(limits, "Fed.Example"), "fed.example.")
		})
	}
}
