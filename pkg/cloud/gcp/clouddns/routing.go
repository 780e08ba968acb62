package clouddns

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	gdns "google.golang.org/api/dns/v1"

	"kubefed.dev/kubefed/pkg/dns"
)

const (
	// maxWeight is the greatest weight of an item.
	maxWeight = 10_000
	itemsTTL  = 300
)

// itemsPrefix begins the name of each record with the names of items.
var itemsPrefix = itemsName("")

// itemsName is where the names of the items of a name's weighted record sets are written: Cloud DNS has none. The record
// "A/gondor=HASH A/rohan=HASH" names each item by what is in it, so that their order means nothing, and an item that another hand
// changed has no name. It is written and removed in the same change as the record sets, and read by nobody but this package.
func itemsName(name string) string { return "_items." + dns.OwnerName(name) }

// listed is a record set of Cloud DNS and what is in it: several sets if it is a weighted one of the federation, none if it has the
// names of items.
type listed struct {
	raw  *gdns.ResourceRecordSet
	sets []dns.RecordSet
}

// understand reads record sets.
func understand(raws []*gdns.ResourceRecordSet) []listed {
	named := map[string]string{}
	isNames := func(raw *gdns.ResourceRecordSet) bool {
		return raw.Type == string(dns.TXT) && strings.HasPrefix(raw.Name, itemsPrefix)
	}
	for _, raw := range raws {
		if isNames(raw) && len(raw.Rrdatas) == 1 {
			if text, err := dns.Unquote(raw.Rrdatas[0]); err == nil {
				named[raw.Name] = text
			}
		}
	}
	out := make([]listed, 0, len(raws))
	for _, raw := range raws {
		l := listed{raw: raw}
		if !isNames(raw) {
			plain := read(raw)
			if l.sets = split(raw, named[itemsName(plain.Name)]); l.sets == nil {
				l.sets = []dns.RecordSet{plain}
			}
		}
		out = append(out, l)
	}
	return out
}

// split is a weighted record set as one set for each item, nil if not every item has a name.
func split(raw *gdns.ResourceRecordSet, names string) []dns.RecordSet {
	policy := raw.RoutingPolicy
	if policy == nil || policy.Wrr == nil || policy.Geo != nil || policy.PrimaryBackup != nil || policy.HealthCheck != "" {
		return nil
	}
	free := strings.Fields(names)
	var sets []dns.RecordSet
	for _, item := range policy.Wrr.Items {
		if item.HealthCheckedTargets != nil || item.Weight != math.Trunc(item.Weight) || item.Weight < 0 || item.Weight > maxWeight {
			return nil
		}
		set := dns.RecordSet{Name: raw.Name, Type: dns.Type(raw.Type), TTL: uint32(raw.Ttl), Data: item.Rrdatas,
			Routing: dns.Routing{Policy: dns.Weighted, Weight: uint32(item.Weight)}}.Canonical()
		i := slices.IndexFunc(free, func(field string) bool {
			set.SetID = idOf(field, set.Type)
			return set.SetID != "" && itemField(set) == field
		})
		if i < 0 {
			return nil
		}
		free = slices.Delete(free, i, i+1)
		sets = append(sets, set)
	}
	return sets
}

// itemField names one item.
func itemField(set dns.RecordSet) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q", set.Routing.Weight, set.Data))
	return fmt.Sprintf("%s/%s=%s", set.Type, set.SetID, hex.EncodeToString(sum[:8]))
}

// idOf is the SetID in an item's field, empty if that is of another type.
func idOf(field string, t dns.Type) string {
	rest, ok := strings.CutPrefix(field, string(t)+"/")
	if i := strings.LastIndexByte(rest, '='); ok && i > 0 {
		return rest[:i]
	}
	return ""
}

// gather is the inverse of understand for the sets at one name, which is owned, and at its ownership record's.
func gather(name string, sets []dns.RecordSet) []*gdns.ResourceRecordSet {
	var raws []*gdns.ResourceRecordSet
	var fields []string
	weighted := map[dns.Key]*gdns.ResourceRecordSet{}
	for _, set := range slices.SortedStableFunc(slices.Values(sets), func(a, b dns.RecordSet) int { return cmp.Compare(a.SetID, b.SetID) }) {
		if set.SetID == "" {
			raws = append(raws, write(set))
			continue
		}
		key := dns.Key{Name: set.Name, Type: set.Type}
		raw := weighted[key]
		if raw == nil {
			raw = write(set)
			raw.Rrdatas, raw.RoutingPolicy = nil, &gdns.RRSetRoutingPolicy{Wrr: &gdns.RRSetRoutingPolicyWrrPolicy{}}
			weighted[key], raws = raw, append(raws, raw)
		}
		raw.RoutingPolicy.Wrr.Items = append(raw.RoutingPolicy.Wrr.Items, &gdns.RRSetRoutingPolicyWrrPolicyWrrPolicyItem{
			Weight: float64(set.Routing.Weight), Rrdatas: set.Data, ForceSendFields: []string{"Weight"}})
		fields = append(fields, itemField(set))
	}
	if len(fields) > 0 {
		raws = append(raws, write(dns.RecordSet{Name: itemsName(name), Type: dns.TXT, TTL: itemsTTL, Data: []string{dns.Quote(strings.Join(fields, " "))}}))
	}
	return raws
}

// checkRouting says why sets can't stand in a weighted record set.
func checkRouting(c dns.Change) error {
	ttls := map[dns.Type]uint32{}
	for _, set := range c.After {
		if set.SetID == "" {
			continue
		}
		ttl, more := ttls[set.Type]
		var err error
		switch {
		case set.Routing.Policy != dns.Weighted:
			err = fmt.Errorf("the provider for Cloud DNS is asked for weighted sets alone, not for %s; the zone says so in its limits", set.Routing.Policy)
		case set.Routing.Weight > maxWeight:
			err = fmt.Errorf("weight %d is more than %d, which is what Cloud DNS takes", set.Routing.Weight, maxWeight)
		case strings.ContainsAny(set.SetID, "= \t"):
			err = fmt.Errorf("%q can't name an item of a weighted set", set.SetID)
		case more && ttl != set.TTL:
			err = errors.New("all weighted sets of one name and type have one TTL")
		case len(itemsName(c.Name)) > 254:
			err = errors.New("the name is too long for the record beside it that names the items of a weighted set; use a shorter one")
		}
		if err != nil {
			return &dns.Error{Kind: dns.Invalid, Subject: c.Name, Err: err}
		}
		ttls[set.Type] = set.TTL
	}
	return nil
}
