package node

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestSplitRange(t *testing.T) {
	pods, balancers := splitRange(netip.MustParsePrefix("127.20.0.0/16"))
	got := fmt.Sprint(pods.first, pods.last, balancers.first, balancers.last)
	if want := "127.20.1.0 127.20.191.255 127.20.192.0 127.20.255.255"; got != want {
		t.Errorf("ranges %s, want %s", got, want)
	}
}

func TestNodeAddresses(t *testing.T) {
	got := fmt.Sprint(Addresses(netip.MustParsePrefix("127.20.0.0/16"), 3))
	if want := "[127.20.0.16 127.20.0.17 127.20.0.18]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	all := Addresses(netip.MustParsePrefix("127.20.240.0/20"), maxNodes)
	if pods, _ := splitRange(netip.MustParsePrefix("127.20.240.0/20")); !all[maxNodes-1].Less(pods.first) {
		t.Errorf("the last node has %s, the first pod %s", all[maxNodes-1], pods.first)
	}
}

func TestPublishedAddress(t *testing.T) {
	a := netip.MustParseAddr("127.20.3.4")
	if p := published(a); p.String() != "10.20.3.4" || local(p) != a {
		t.Errorf("published as %s, back to %s", p, local(p))
	}
}

func TestPoolAdoptsAndReuses(t *testing.T) {
	p := newAddressPool(netip.MustParseAddr("127.1.1.0"), netip.MustParseAddr("127.1.1.3"))
	if !p.claim("old", netip.MustParseAddr("127.1.1.2")) || p.claim("other", netip.MustParseAddr("127.1.1.2")) {
		t.Fatal("an address is its first claimant's")
	}
	if p.claim("far", netip.MustParseAddr("127.1.2.2")) {
		t.Fatal("claimed an address of another range")
	}
	a, _ := p.get("a")
	b, _ := p.get("b")
	if again, _ := p.get("a"); again != a || a == b {
		t.Fatalf("a has %s, then %s; b has %s", a, again, b)
	}
	if _, err := p.get("c"); err == nil {
		t.Fatal("gave an address although 127.1.1.0 is all that is left")
	}
	p.release("a")
	if c, err := p.get("c"); err != nil || c != a {
		t.Fatalf("c has %s, %v; want the released %s", c, err, a)
	}
}

// No two owners have one address, whatever happens in which order.
func TestPoolIsUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newAddressPool(netip.MustParseAddr("127.1.1.250"), netip.MustParseAddr("127.1.2.5"))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			owner := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "owner")
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				p.get(owner)
			case 1:
				p.release(owner)
			case 2:
				p.claim(owner, fromInt(toInt(p.first)+uint32(rapid.IntRange(0, 11).Draw(t, "offset"))))
			}
		}
		for owner, a := range p.held {
			if p.owners[a] != owner {
				t.Fatalf("%s holds %s, which is %s's", owner, a, p.owners[a])
			}
		}
		if len(p.held) != len(p.owners) {
			t.Fatalf("%d owners hold %d addresses", len(p.held), len(p.owners))
		}
	})
}
