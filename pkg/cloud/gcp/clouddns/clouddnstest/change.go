package clouddnstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	gdns "google.golang.org/api/dns/v1"

	"kubefed.dev/kubefed/pkg/cloud/gcp/places"
)

const (
	maxSets    = 1000
	maxRecords = 100
	maxOctets  = 100_000
)

// refusal is why a change is not made.
type refusal struct {
	code            int
	reason, message string
}

func (s *Server) change(w http.ResponseWriter, r *http.Request, z *zone) {
	var c gdns.Change
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		fail(w, http.StatusBadRequest, "parseError", err.Error())
		return
	}
	sets, why := z.after(&c)
	if why != nil {
		fail(w, why.code, why.reason, why.message)
		return
	}
	z.sets = sets
	id := strconv.Itoa(len(s.changes) + 1)
	s.changes[id] = s.polls
	c.Id, c.Status = id, status(s.polls)
	answer(w, &c)
}

// after is what the zone holds after a change, or why it is not made.
func (z *zone) after(c *gdns.Change) (map[key]*gdns.ResourceRecordSet, *refusal) {
	octets := 0
	for _, set := range slices.Concat(c.Deletions, c.Additions) {
		for _, d := range slices.Concat(set.Rrdatas, itemData(set)) {
			octets += len(d)
		}
	}
	switch {
	case len(c.Deletions)+len(c.Additions) == 0:
		return nil, &refusal{http.StatusBadRequest, "required", "The 'entity.change' parameter is required but was missing."}
	case len(c.Deletions) > maxSets || len(c.Additions) > maxSets:
		return nil, &refusal{http.StatusForbidden, "quotaExceeded", "The resource 'entity.change' exceeds the quota of record sets."}
	case octets > maxOctets:
		return nil, &refusal{http.StatusRequestEntityTooLarge, "tooLarge", "The change's data is too large."}
	}
	sets := maps.Clone(z.sets)
	for i, set := range c.Deletions {
		at := fmt.Sprintf("The 'entity.change.deletions[%d]' resource named '%s (%s)'", i, set.Name, set.Type)
		now, there := sets[key{set.Name, set.Type}]
		switch {
		case !there:
			return nil, &refusal{http.StatusNotFound, "notFound", at + " does not exist."}
		case !same(now, set):
			return nil, &refusal{http.StatusPreconditionFailed, "conditionNotMet", "Precondition not met for '" + at + "'"}
		case set.Name == z.dnsName && (set.Type == "NS" || set.Type == "SOA"):
			return nil, &refusal{http.StatusBadRequest, "containerNotEmpty", at + " must stay."}
		}
		delete(sets, key{set.Name, set.Type})
	}
	for i, set := range c.Additions {
		at := fmt.Sprintf("The 'entity.change.additions[%d]' resource named '%s (%s)'", i, set.Name, set.Type)
		if _, there := sets[key{set.Name, set.Type}]; there {
			return nil, &refusal{http.StatusConflict, "alreadyExists", at + " already exists"}
		}
		if why := z.malformed(set); why != "" {
			return nil, &refusal{http.StatusBadRequest, "invalid", fmt.Sprintf("Invalid value for 'entity.change.additions[%d]': %s", i, why)}
		}
		sets[key{set.Name, set.Type}] = set
	}
	types := map[string][]string{}
	for k := range sets {
		types[k.name] = append(types[k.name], k.recordType)
	}
	for i, set := range c.Additions {
		if here := types[set.Name]; slices.Contains(here, "CNAME") && len(here) > 1 {
			return nil, &refusal{http.StatusBadRequest, "cnameResourceRecordSetConflict",
				fmt.Sprintf("The resource record set 'entity.change.additions[%d]' is invalid because the DNS name '%s' has a CNAME beside other records", i, set.Name)}
		}
	}
	return sets, nil
}

// same compares sets exactly, data in any order.
func same(a, b *gdns.ResourceRecordSet) bool {
	policyA, errA := json.Marshal(a.RoutingPolicy)
	policyB, errB := json.Marshal(b.RoutingPolicy)
	return errA == nil && errB == nil && a.Ttl == b.Ttl && string(policyA) == string(policyB) &&
		slices.Equal(slices.Sorted(slices.Values(a.Rrdatas)), slices.Sorted(slices.Values(b.Rrdatas)))
}

var label = regexp.MustCompile(`^(?:\*|[-_a-z0-9]{1,63})$`)

// malformed says what is wrong with a set.
func (z *zone) malformed(set *gdns.ResourceRecordSet) string {
	policy := set.RoutingPolicy
	switch {
	case set.Name != z.dnsName && !strings.HasSuffix(set.Name, "."+z.dnsName):
		return "the name is outside the zone"
	case len(set.Name) > 254 || slices.ContainsFunc(strings.Split(strings.TrimSuffix(set.Name, "."), "."), func(l string) bool { return !label.MatchString(l) }):
		return "the name is malformed"
	case set.Type == "CNAME" && set.Name == z.dnsName:
		return "a CNAME at the apex"
	case (policy == nil) == (len(set.Rrdatas) == 0):
		return "give either rrdatas or routingPolicy"
	case len(set.Rrdatas) > maxRecords:
		return fmt.Sprintf("more than %d records", maxRecords)
	case set.Type == "CNAME" && len(set.Rrdatas) > 1:
		return "several CNAMEs"
	case set.Ttl < 0:
		return "ttl"
	}
	if policy != nil {
		if (policy.Wrr != nil) == (policy.Geo != nil) {
			return "give either wrr or geo"
		}
		if policy.Wrr != nil {
			if len(policy.Wrr.Items) == 0 {
				return "no items"
			}
			for _, item := range policy.Wrr.Items {
				if item.Weight < 0 || item.Weight > 10000 {
					return "weight"
				}
				if why := badItem(set.Type, item.Rrdatas); why != "" {
					return why
				}
			}
		}
		if policy.Geo != nil {
			return badPlaces(set.Type, policy.Geo)
		}
	}
	return badDatas(set.Type, set.Rrdatas)
}

// maxPlaces is how many items a policy by place has at most.
const maxPlaces = 100

// badPlaces: each item is at a region of Google Cloud, no two at one, each with data.
func badPlaces(recordType string, geo *gdns.RRSetRoutingPolicyGeoPolicy) string {
	if len(geo.Items) == 0 || len(geo.Items) > maxPlaces {
		return fmt.Sprintf("%d items by place", len(geo.Items))
	}
	seen := map[string]bool{}
	for _, item := range geo.Items {
		switch {
		case !slices.Contains(places.Regions(), item.Location):
			return fmt.Sprintf("location %q is no region", item.Location)
		case seen[item.Location]:
			return fmt.Sprintf("location %q is there twice", item.Location)
		}
		seen[item.Location] = true
		if why := badItem(recordType, item.Rrdatas); why != "" {
			return why
		}
	}
	return ""
}

func badItem(recordType string, data []string) string {
	switch why := badDatas(recordType, data); {
	case len(data) == 0:
		return "an item without data"
	case len(data) > maxRecords:
		return fmt.Sprintf("an item with more than %d records", maxRecords)
	case recordType == "CNAME" && len(data) > 1:
		return "an item with several CNAMEs"
	case why != "":
		return "an item with " + why
	}
	return ""
}

// itemData is all data of a routed set's items.
func itemData(set *gdns.ResourceRecordSet) (data []string) {
	policy := set.RoutingPolicy
	if policy != nil && policy.Wrr != nil {
		for _, item := range policy.Wrr.Items {
			data = append(data, item.Rrdatas...)
		}
	}
	if policy != nil && policy.Geo != nil {
		for _, item := range policy.Geo.Items {
			data = append(data, item.Rrdatas...)
		}
	}
	return data
}

func badDatas(recordType string, data []string) string {
	seen := map[string]bool{}
	for _, d := range data {
		if why := badData(recordType, d); why != "" || seen[d] {
			return fmt.Sprintf("rrdata %q %s", d, why)
		}
		seen[d] = true
	}
	return ""
}

func badData(recordType, d string) string {
	addr, err := netip.ParseAddr(d)
	switch recordType {
	case "A":
		if err != nil || !addr.Is4() {
			return "is no IPv4 address"
		}
	case "AAAA":
		if err != nil || addr.Is4() {
			return "is no IPv6 address"
		}
	case "CNAME":
		if !strings.HasSuffix(d, ".") {
			return "is not absolute"
		}
	case "TXT":
		if !strings.HasPrefix(d, `"`) || !strings.HasSuffix(d, `"`) {
			return "is not in quotation marks"
		}
		for text := range strings.SplitSeq(d, `" "`) {
			if len(strings.Trim(text, `"`)) > 4*255 {
				return "has a string of more than 255 octets"
			}
		}
	case "SRV":
		f := strings.Fields(d)
		if len(f) != 4 || !strings.HasSuffix(f[3], ".") {
			return "is not \"priority weight port target\""
		}
	}
	return ""
}
