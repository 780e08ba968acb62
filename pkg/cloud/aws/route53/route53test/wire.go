package route53test

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

type xmlName = xml.Name

type changeInfo struct {
	ID          string `xml:"Id"`
	Status      string
	SubmittedAt string
}

type hostedZone struct {
	ID              string `xml:"Id"`
	Name            string
	CallerReference string
	Config          struct{ PrivateZone bool }
	Count           int `xml:"ResourceRecordSetCount"`
}

type listZonesResponse struct {
	XMLName          xmlName      `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListHostedZonesByNameResponse"`
	HostedZones      []hostedZone `xml:"HostedZones>HostedZone"`
	DNSName          string       `xml:",omitempty"`
	HostedZoneID     string       `xml:"HostedZoneId,omitempty"`
	IsTruncated      bool
	NextDNSName      string `xml:",omitempty"`
	NextHostedZoneID string `xml:"NextHostedZoneId,omitempty"`
	MaxItems         int
}

type listSetsResponse struct {
	XMLName        xmlName     `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListResourceRecordSetsResponse"`
	Sets           []recordSet `xml:"ResourceRecordSets>ResourceRecordSet"`
	IsTruncated    bool
	NextName       string `xml:"NextRecordName,omitempty"`
	NextType       string `xml:"NextRecordType,omitempty"`
	NextIdentifier string `xml:"NextRecordIdentifier,omitempty"`
	MaxItems       int
}

type changeRequest struct {
	Changes []struct {
		Action string
		Set    recordSet `xml:"ResourceRecordSet"`
	} `xml:"ChangeBatch>Changes>Change"`
}

type aliasTarget struct {
	HostedZoneID         string `xml:"HostedZoneId"`
	DNSName              string
	EvaluateTargetHealth bool
}

type record struct{ Value string }

type recordSet struct {
	Name             string
	Type             string
	SetIdentifier    string `xml:",omitempty"`
	Weight           *int64
	Region           string       `xml:",omitempty"`
	Failover         string       `xml:",omitempty"`
	MultiValueAnswer bool         `xml:",omitempty"`
	AliasTarget      *aliasTarget `xml:",omitempty"`
	TTL              *int64
	Records          []record `xml:"ResourceRecords>ResourceRecord"`
	HealthCheckID    string   `xml:"HealthCheckId,omitempty"`
}

func (s recordSet) key() key { return key{s.Name, s.Type, s.SetIdentifier} }

// out is the set as it is given back.
func (s recordSet) out() recordSet {
	s.Records = slices.Clone(s.Records)
	return s
}

func (s recordSet) values() []string {
	var values []string
	for _, r := range s.Records {
		values = append(values, r.Value)
	}
	return values
}

func records(values ...string) []record {
	var out []record
	for _, v := range values {
		out = append(out, record{v})
	}
	return out
}

// policies that a set names.
func (s recordSet) policies() (named []string) {
	for name, there := range map[string]bool{"Weight": s.Weight != nil, "Region": s.Region != "", "Failover": s.Failover != "", "MultiValueAnswer": s.MultiValueAnswer} {
		if there {
			named = append(named, name)
		}
	}
	return named
}

// same compares all there is, values in any order.
func (s recordSet) same(o recordSet) bool {
	return s.key() == o.key() && fmt.Sprint(s.rest()) == fmt.Sprint(o.rest()) && slices.Equal(slices.Sorted(slices.Values(s.values())), slices.Sorted(slices.Values(o.values())))
}

func (s recordSet) rest() []any {
	rest := []any{s.Region, s.Failover, s.MultiValueAnswer, s.HealthCheckID, "-", "-", "-"}
	if s.Weight != nil {
		rest[4] = *s.Weight
	}
	if s.TTL != nil {
		rest[5] = *s.TTL
	}
	if s.AliasTarget != nil {
		rest[6] = *s.AliasTarget
	}
	return rest
}

func (z *zone) xml() hostedZone {
	h := hostedZone{ID: "/hostedzone/" + z.id, Name: z.name, CallerReference: z.id, Count: len(z.sets)}
	h.Config.PrivateZone = z.private
	return h
}

func (z *zone) get(k key) (recordSet, bool) {
	for _, s := range z.sets[k.name] {
		if s.key() == k {
			return s, true
		}
	}
	return recordSet{}, false
}

// put and drop leave what was there as it is: a change can be undone.
func (z *zone) put(s recordSet) {
	z.drop(s.key())
	z.sets[s.Name] = append(slices.Clone(z.sets[s.Name]), s)
}

func (z *zone) drop(k key) {
	z.list = nil
	left := slices.DeleteFunc(slices.Clone(z.sets[k.name]), func(s recordSet) bool { return s.key() == k })
	if z.sets[k.name] = left; len(left) == 0 {
		delete(z.sets, k.name)
	}
}

func (z *zone) sorted() []recordSet {
	if z.list == nil {
		for _, name := range slices.SortedFunc(maps.Keys(z.sets), func(a, b string) int { return cmp.Compare(order(a), order(b)) }) {
			z.list = append(z.list, slices.SortedFunc(slices.Values(z.sets[name]), func(a, b recordSet) int {
				return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.SetIdentifier, b.SetIdentifier))
			})...)
		}
	}
	return z.list
}

func answer(w http.ResponseWriter, body any) {
	data, err := xml.Marshal(body)
	if err != nil {
		fail(w, http.StatusInternalServerError, "InternalFailure", err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write(append([]byte(xml.Header), data...))
}

func fail(w http.ResponseWriter, status int, code, message string) {
	kind := "Sender"
	if status >= 500 {
		kind = "Receiver"
	}
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(message))
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>0</RequestId></ErrorResponse>`,
		kind, code, text.String())
}

func ptr[T any](v T) *T { return &v }

// escape is how names are stored: lower case, with a backslash and three octal digits for what is not a letter, digit, hyphen,
// underscore or dot.
func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(name)) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte(`-_.\`, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return b.String()
}
