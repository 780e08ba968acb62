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

// listed is a record set of Cloud DNS and what is in it: several sets if it is a routed one, none if it has the names of items.
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

// split is a routed record set as one set for each item, nil if that does not say all of it, or not every weighted item has a name.
func split(raw *gdns.ResourceRecordSet, names string) []dns.RecordSet {
	policy := raw.RoutingPolicy
	switch {
	case policy == nil || policy.PrimaryBackup != nil || policy.HealthCheck != "" || (policy.Wrr == nil) == (policy.Geo == nil):
		return nil
	case policy.Geo != nil:
		return splitByPlace(raw)
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

// splitByPlace is the same for items that their places name.
func splitByPlace(raw *gdns.ResourceRecordSet) []dns.RecordSet {
	geo := raw.RoutingPolicy.Geo
	if geo.EnableFencing {
		return nil
	}
	var sets []dns.RecordSet
	for _, item := range geo.Items {
		if item.HealthCheckedTargets != nil || item.Location == "" {
			return nil
		}
		sets = append(sets, dns.RecordSet{Name: raw.Name, Type: dns.Type(raw.Type), TTL: uint32(raw.Ttl), Data: item.Rrdatas, SetID: item.Location,
			Routing: dns.Routing{Policy: dns.Nearest, Region: item.Location}}.Canonical())
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
	routed := map[dns.Key]*gdns.ResourceRecordSet{}
	for _, set := range slices.SortedStableFunc(slices.Values(sets), func(a, b dns.RecordSet) int { return cmp.Compare(a.SetID, b.SetID) }) {
		if set.SetID == "" {
			raws = append(raws, write(set))
			continue
		}
		key := dns.Key{Name: set.Name, Type: set.Type}
		raw := routed[key]
		if raw == nil {
			raw = write(set)
			raw.Rrdatas, raw.RoutingPolicy = nil, &gdns.RRSetRoutingPolicy{}
			routed[key], raws = raw, append(raws, raw)
		}
		if set.Routing.Policy == dns.Nearest {
			if raw.RoutingPolicy.Geo == nil {
				raw.RoutingPolicy.Geo = &gdns.RRSetRoutingPolicyGeoPolicy{}
			}
			raw.RoutingPolicy.Geo.Items = append(raw.RoutingPolicy.Geo.Items,
				&gdns.RRSetRoutingPolicyGeoPolicyGeoPolicyItem{Location: set.Routing.Region, Rrdatas: set.Data})
			continue
		}
		if raw.RoutingPolicy.Wrr == nil {
			raw.RoutingPolicy.Wrr = &gdns.RRSetRoutingPolicyWrrPolicy{}
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

// checkRouting says why sets can't stand in a routed record set.
func checkRouting(c dns.Change) error {
	first := map[dns.Type]dns.RecordSet{}
	for _, set := range c.After {
		if set.SetID == "" {
			continue
		}
		other, more := first[set.Type]
		err := checkItem(set)
		switch {
		case err != nil:
		case more && other.TTL != set.TTL:
			err = errors.New("all routed sets of one name and type have one TTL")
		case more && other.Routing.Policy != set.Routing.Policy:
			err = errors.New("all routed sets of one name and type have one policy")
		case len(itemsName(c.Name)) > 254:
			err = errors.New("the name is too long for the record beside it that names the items of a weighted set; use a shorter one")
		}
		if err != nil {
			return &dns.Error{Kind: dns.Invalid, Subject: c.Name, Err: err}
		}
		first[set.Type] = set
	}
	return nil
}

func checkItem(set dns.RecordSet) error {
	switch {
	case set.Routing.Policy == dns.Nearest && set.SetID != set.Routing.Region:
		return fmt.Errorf("an item of a set by place is named by its region, %q, not %q", set.Routing.Region, set.SetID)
	case set.Routing.Policy == dns.Nearest:
		return nil
	case set.Routing.Policy != dns.Weighted:
		return fmt.Errorf("the provider for Cloud DNS takes weighted sets and those by place, not %s; the zone says so in its limits", set.Routing.Policy)
	case set.Routing.Weight > maxWeight:
		return fmt.Errorf("weight %d is more than %d, which is what Cloud DNS takes", set.Routing.Weight, maxWeight)
	case strings.ContainsAny(set.SetID, "= \t"):
		return fmt.Errorf("%q can't name an item of a weighted set", set.SetID)
	}
	return nil
}
