package route53test

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kubefed.dev/kubefed/pkg/cloud/aws/places"
)

const (
	maxRecords    = 1000
	maxCharacters = 32000
	maxWeighted   = 100
)

func (s *Server) changeSets(w http.ResponseWriter, r *http.Request, id string) {
	z, ok := s.zones[id]
	if !ok {
		noZone(w, id)
		return
	}
	var request changeRequest
	if err := xml.NewDecoder(r.Body).Decode(&request); err != nil || len(request.Changes) == 0 {
		fail(w, http.StatusBadRequest, "MalformedInput", fmt.Sprint("Unexpected request body: ", err))
		return
	}
	records, characters := 0, 0
	for i := range request.Changes {
		c := &request.Changes[i]
		c.Set.Name = escape(c.Set.Name)
		if !strings.HasSuffix(c.Set.Name, ".") {
			c.Set.Name += "."
		}
		times := 1
		if c.Action == "UPSERT" {
			times = 2
		}
		records += times * len(c.Set.Records)
		for _, v := range c.Set.values() {
			characters += times * len(v)
		}
		if id := c.Set.HealthCheckID; id != "" && c.Action != "DELETE" && s.healthCheck(id) == nil {
			fail(w, http.StatusNotFound, "NoSuchHealthCheck", "No health check exists with the specified ID: "+id)
			return
		}
		if reason := c.Set.malformed(c.Action); reason != "" {
			fail(w, http.StatusBadRequest, "InvalidInput", "Invalid request: "+reason)
			return
		}
	}
	switch {
	case records > maxRecords:
		refuse(w, []string{fmt.Sprintf("Number of records limit of %d exceeded.", maxRecords)})
		return
	case characters > maxCharacters:
		refuse(w, []string{fmt.Sprintf("Number of characters limit of %d exceeded.", maxCharacters)})
		return
	}
	// All or nothing: what was there is put back if one change cannot be made.
	undo := map[string][]recordSet{}
	var messages []string
	for _, c := range request.Changes {
		if _, seen := undo[c.Set.Name]; !seen {
			undo[c.Set.Name] = z.sets[c.Set.Name]
		}
		if m := z.change(c.Action, c.Set); m != "" {
			messages = append(messages, m)
		}
	}
	if len(messages) > 0 {
		z.list = nil
		maps.Copy(z.sets, undo)
		maps.DeleteFunc(z.sets, func(_ string, sets []recordSet) bool { return len(sets) == 0 })
		refuse(w, messages)
		return
	}
	s.serial++
	change := fmt.Sprintf("C%06d", s.serial)
	s.changes[change] = s.polls
	answer(w, struct {
		XMLName    xmlName `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsResponse"`
		ChangeInfo changeInfo
	}{ChangeInfo: s.info(change, s.polls)})
}

func refuse(w http.ResponseWriter, messages []string) {
	fail(w, http.StatusBadRequest, "InvalidChangeBatch", "["+strings.Join(messages, ", ")+"]")
}

// malformed says what is wrong with a set in itself.
func (s recordSet) malformed(action string) string {
	named := s.policies()
	in := fmt.Sprintf("Change with [Action=%s, Name=%s, Type=%s, SetIdentifier=%s]", action, s.Name, s.Type, s.SetIdentifier)
	switch {
	case !slices.Contains([]string{"CREATE", "DELETE", "UPSERT"}, action):
		return "Action " + action
	case s.SetIdentifier == "" && len(named) > 0:
		return "Missing field 'SetIdentifier' in " + in
	case s.SetIdentifier != "" && len(named) != 1:
		return fmt.Sprintf("Expected exactly one of [Weight, Region, Failover, GeoLocation, or MultiValueAnswer], but found %d in %s", len(named), in)
	case s.SetIdentifier == "" && s.HealthCheckID != "":
		return "HealthCheckId needs a routing policy in " + in
	case s.Failover != "" && s.Failover != "PRIMARY" && s.Failover != "SECONDARY":
		return "Failover is PRIMARY or SECONDARY in " + in
	case s.MultiValueAnswer && s.AliasTarget == nil && len(s.Records) != 1:
		return "a multivalue answer has one record in " + in
	case len(s.SetIdentifier) > 128:
		return "SetIdentifier is longer than 128 in " + in
	case s.Weight != nil && (*s.Weight < 0 || *s.Weight > 255):
		return "Weight out of [0, 255] in " + in
	case s.AliasTarget == nil && (s.TTL == nil || len(s.Records) == 0):
		return "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none in " + in
	case s.AliasTarget != nil && (s.TTL != nil || len(s.Records) > 0):
		return "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords]], but found more than one in " + in
	case s.TTL != nil && (*s.TTL < 0 || *s.TTL > 2147483647):
		return "TTL in " + in
	}
	return ""
}

// change makes one change, or says why it cannot be made.
func (z *zone) change(action string, s recordSet) string {
	id := ""
	if s.SetIdentifier != "" {
		id = ", set-identifier='" + s.SetIdentifier + "'"
	}
	tried := fmt.Sprintf("resource record set [name='%s', type='%s'%s]", s.Name, s.Type, id)
	now, there := z.get(s.key())
	switch {
	case action == "DELETE" && !there:
		return "Tried to delete " + tried + " but it was not found"
	case action == "DELETE" && !now.same(s):
		return "Tried to delete " + tried + " but the values provided do not match the current values"
	case action == "DELETE" && s.Name == z.name && (s.Type == "NS" || s.Type == "SOA"):
		return fmt.Sprintf("A HostedZone must contain exactly one %s record", s.Type)
	case action == "DELETE":
		z.drop(s.key())
		return ""
	case action == "CREATE" && there:
		return "Tried to create " + tried + " but it already exists"
	}
	if reason := z.misfit(s); reason != "" {
		return reason
	}
	z.put(s)
	return ""
}

var label = regexp.MustCompile(`^(?:[-_a-z0-9]|\\[0-7]{3}){1,63}$`)

// misfit says why a set cannot stand in the zone beside what is there.
func (z *zone) misfit(s recordSet) string {
	if s.Name != z.name && !strings.HasSuffix(s.Name, "."+z.name) {
		return fmt.Sprintf("RRSet with DNS name %s is not permitted in zone %s", s.Name, z.name)
	}
	if len(s.Name) > 256 || slices.ContainsFunc(strings.Split(strings.TrimSuffix(s.Name, "."), "."), func(l string) bool { return !label.MatchString(l) }) {
		return fmt.Sprintf("FATAL problem: DomainLabelTooLong (Domain label is too long) encountered with '%s'", s.Name)
	}
	if reason := s.badValues(); reason != "" {
		return reason
	}
	if reason := s.badAlias(); reason != "" {
		return reason
	}
	weighted := 0
	for _, other := range z.sets[s.Name] {
		if other.key() == s.key() {
			continue
		}
		if other.Type != s.Type {
			if other.Type == "CNAME" || s.Type == "CNAME" {
				return fmt.Sprintf("RRSet of type %s with DNS name %s is not permitted as it conflicts with other records with the same DNS name in zone %s", s.Type, s.Name, z.name)
			}
			continue
		}
		switch weighted++; {
		case !slices.Equal(other.policies(), s.policies()):
			return fmt.Sprintf("RRSet with DNS name %s, type %s, SetIdentifier %s cannot be created because a RRSet with the same name and type but another routing policy exists", s.Name, s.Type, s.SetIdentifier)
		case s.Region != "" && other.Region == s.Region:
			return fmt.Sprintf("RRSet with DNS name %s, type %s, SetIdentifier %s, and Region Name=%s cannot be created because a latency RRSet with the same name, type and region already exists.", s.Name, s.Type, s.SetIdentifier, s.Region)
		case s.Failover != "" && other.Failover == s.Failover:
			return fmt.Sprintf("Failover type %s is already in use for RRSet with DNS name %s, type %s", s.Failover, s.Name, s.Type)
		case weighted >= maxWeighted:
			return fmt.Sprintf("RRSet with DNS name %s, type %s has more than %d sets", s.Name, s.Type, maxWeighted)
		}
	}
	if s.Failover == "PRIMARY" && s.HealthCheckID == "" && s.AliasTarget == nil {
		return fmt.Sprintf("A primary failover RRSet with DNS name %s needs a health check", s.Name)
	}
	return ""
}

// badAlias: the target has to be in the zone that is named. Load balancers are the only targets that are known here.
func (s recordSet) badAlias() string {
	if s.AliasTarget == nil {
		return ""
	}
	in := places.LoadBalancer(s.AliasTarget.DNSName)
	switch {
	case s.Type != "A" && s.Type != "AAAA", s.MultiValueAnswer:
		return fmt.Sprintf("RRSet with DNS name %s, type %s cannot be an alias", s.Name, s.Type)
	case in == "" || in != s.AliasTarget.HostedZoneID:
		return fmt.Sprintf("Tried to create an alias that targets %s, type %s in zone %s, but the alias target name does not lie within the target zone, for RRSet with DNS name %s",
			s.AliasTarget.DNSName, s.Type, s.AliasTarget.HostedZoneID, s.Name)
	}
	return ""
}

func (s recordSet) badValues() string {
	bad := func(v, why string) string {
		return fmt.Sprintf("Invalid Resource Record: 'FATAL problem: %s encountered with '%s''", why, v)
	}
	seen := map[string]bool{}
	for _, v := range s.values() {
		if seen[v] {
			return fmt.Sprintf("Duplicate Resource Record: '%s'", v)
		}
		seen[v] = true
		addr, err := netip.ParseAddr(v)
		switch s.Type {
		case "A":
			if err != nil || !addr.Is4() {
				return bad(v, "ARRDATAIllegalIPv4Address")
			}
		case "AAAA":
			if err != nil || addr.Is4() {
				return bad(v, "AAAARRDATAIllegalIPv6Address")
			}
		case "CNAME":
			if len(s.Records) > 1 {
				return bad(v, "CNAMERRSetWithMoreThanOneRecord")
			}
		case "TXT":
			if why := badText(v); why != "" {
				return bad(v, why)
			}
		case "SRV":
			f := strings.Fields(v)
			if len(f) != 4 {
				return bad(v, "SRVRRDATANotSpaceSeparated")
			}
			for _, n := range f[:3] {
				if _, err := strconv.ParseUint(n, 10, 16); err != nil {
					return bad(v, "SRVRRDATAIllegalNumber")
				}
			}
		}
	}
	return ""
}

// badText checks TXT data: strings in quotation marks, at most 255 octets each, octal escapes only.
func badText(v string) string {
	quoted, n := false, 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			quoted, n = !quoted, 0
			continue
		case !quoted && c == ' ':
			continue
		case !quoted:
			return "InvalidCharacterString (Value should be enclosed in quotation marks)"
		case c == '\\' && i+1 < len(v) && v[i+1] == '"':
			i++
		case c == '\\':
			if i+3 >= len(v) || strings.Trim(v[i+1:i+4], "01234567") != "" {
				return "InvalidEscape"
			}
			i += 3
		case c < ' ' || c > '~':
			return "InvalidCharacter"
		}
		if n++; n > 255 {
			return "CharacterStringTooLong (Value is too long)"
		}
	}
	if quoted {
		return "InvalidCharacterString (quotation mark missing)"
	}
	return ""
}
