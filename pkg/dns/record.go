package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Type is a DNS record type by name.
type Type string

// The types that the federation publishes.
const (
	A     Type = "A"
	AAAA  Type = "AAAA"
	CNAME Type = "CNAME"
	SRV   Type = "SRV"
	TXT   Type = "TXT"
)

// RecordSet is all data of one type at one name (RFC 2181 section 5), so with one TTL.
type RecordSet struct {
	// Name is absolute, in lower case.
	Name string `json:"name"`
	Type Type   `json:"type"`
	// TTL is in seconds.
	TTL uint32 `json:"ttl"`
	// Data is in presentation form (RFC 1035 section 5.1), sorted, without duplicates, never empty but for an alias.
	Data []string `json:"data"`
	// Alias stands in the place of Data and TTL, where Limits.LoadBalancer knows the target.
	Alias Alias `json:"alias,omitzero"`
	// SetID tells apart several sets of one name and type, of which a routing provider answers with one. Empty for a plain set.
	SetID string `json:"setID,omitempty"`
	// Routing says when a set with a SetID is the answer.
	Routing Routing `json:"routing,omitzero"`
	// Health is how the provider itself asks the addresses in Data of a set with a SetID: while none of them answers it answers with other
	// sets, if there are any.
	Health HealthCheck `json:"health,omitzero"`
}

// HealthCheck is a question to an address: Limits.HealthChecks says of which.
type HealthCheck struct {
	// Type is "TCP", "HTTP" or "HTTPS"; empty for none.
	Type string `json:"type,omitempty"`
	Port uint16 `json:"port,omitempty"`
	// Host is the Host header and TLS server name, by default the address; Path is asked for. Both are for HTTP and HTTPS.
	Host string `json:"host,omitempty"`
	Path string `json:"path,omitempty"`
	// Fast asks as often as the provider can.
	Fast bool `json:"fast,omitempty"`
}

// Alias says that a name answers as a load balancer of the provider does.
type Alias struct {
	// Zone is the provider's name of the zone that the target is in; Name is the target, absolute, in lower case.
	Zone string `json:"zone"`
	Name string `json:"name"`
	// EvaluateHealth: the set is the answer only while the load balancer has something healthy behind it.
	EvaluateHealth bool `json:"evaluateHealth,omitempty"`
}

// AliasTTL is the TTL with which load balancers answer, in seconds.
const AliasTTL = 60

// Routing is how a provider chooses among sets of one name and type.
type Routing struct {
	// Policy is Weighted, Nearest, All, or Ordered: of two sets one is the answer, and the other one, the Backup, while that does not
	// answer its HealthCheck.
	Policy Policy `json:"policy,omitempty"`
	// Weight is relative to the other sets'.
	Weight uint32 `json:"weight,omitempty"`
	// Provider and Region are where the endpoints are.
	Provider string `json:"provider,omitempty"`
	Region   string `json:"region,omitempty"`
	Backup   bool   `json:"backup,omitempty"`
}

// Key identifies a record set in a zone.
type Key struct {
	Name  string
	Type  Type
	SetID string
}

// Key is the set's own.
func (s RecordSet) Key() Key { return Key{s.Name, s.Type, s.SetID} }

// String shows a set on one line.
func (s RecordSet) String() string {
	id := ""
	if s.SetID != "" {
		id = " [" + s.SetID + "]"
	}
	if s.Alias != (Alias{}) {
		return fmt.Sprintf("%s %s%s alias of %s", s.Name, s.Type, id, s.Alias.Name)
	}
	return fmt.Sprintf("%s %d %s%s %s", s.Name, s.TTL, s.Type, id, strings.Join(s.Data, ", "))
}

// Same says whether two sets answer alike. Both must be canonical.
func Same(a, b RecordSet) bool {
	return a.Key() == b.Key() && a.TTL == b.TTL && a.Routing == b.Routing && a.Alias == b.Alias && a.Health == b.Health && slices.Equal(a.Data, b.Data)
}

// Canonical is the set with names in lower case and data in its one spelling, sorted, without duplicates, so that a
// provider's other order or spelling is no difference. Data that can't be read is kept as it is.
func (s RecordSet) Canonical() RecordSet {
	s.Name = Absolute(s.Name)
	if s.Alias == (Alias{}) && s.plainlyCanonical() {
		s.Data = slices.Clip(s.Data)
		return s
	}
	data := make([]string, 0, len(s.Data))
	for _, d := range s.Data {
		data = append(data, canonicalData(s.Type, d))
	}
	slices.Sort(data)
	s.Data = slices.Compact(data)
	if s.Alias != (Alias{}) {
		s.Alias.Name = Absolute(s.Alias.Name)
	}
	return s
}

// plainlyCanonical says of the usual data that it is sorted, without duplicates and in its one spelling. It allocates nothing.
func (s RecordSet) plainlyCanonical() bool {
	var buf [64]byte
	for i, d := range s.Data {
		if i > 0 && s.Data[i-1] >= d {
			return false
		}
		switch s.Type {
		case A, AAAA:
			if addr, err := netip.ParseAddr(d); err != nil || string(addr.AppendTo(buf[:0])) != d {
				return false
			}
		case TXT:
			if _, plain := plainText(d); !plain {
				return false
			}
		default:
			return false
		}
	}
	return len(s.Data) > 0
}

// plainText is the text of TXT data that is one string without escapes.
func plainText(d string) (text string, plain bool) {
	if len(d) < 2 || len(d) > 257 || d[0] != '"' || d[len(d)-1] != '"' {
		return "", false
	}
	text = d[1 : len(d)-1]
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return "", false
		}
	}
	return text, true
}

func canonicalData(t Type, d string) string {
	switch t {
	case A, AAAA:
		if addr, err := netip.ParseAddr(d); err == nil {
			return addr.String()
		}
	case CNAME:
		return Absolute(d)
	case SRV:
		if f := strings.Fields(d); len(f) == 4 {
			return f[0] + " " + f[1] + " " + f[2] + " " + Absolute(f[3])
		}
	case TXT:
		if text, err := Unquote(d); err == nil {
			return Quote(text)
		}
	}
	return d
}

// Check tells what is wrong with a set: its name, an address of the other family, data that is missing, doubled, unsorted
// or malformed.
func (s RecordSet) Check() error {
	if err := CheckName(s.Name); err != nil && s.Type != TXT {
		return err
	}
	if s.Alias != (Alias{}) {
		return s.checkAlias()
	}
	if len(s.Data) == 0 {
		return fmt.Errorf("%s %s has no data", s.Name, s.Type)
	}
	if s.Type == CNAME && len(s.Data) > 1 {
		return fmt.Errorf("%s has %d CNAMEs; one is allowed (RFC 2181 section 10.1)", s.Name, len(s.Data))
	}
	if !s.plainlyCanonical() && !slices.Equal(s.Data, s.Canonical().Data) {
		return fmt.Errorf("%s %s: data %q is not canonical", s.Name, s.Type, s.Data)
	}
	for _, d := range s.Data {
		if err := checkData(s.Type, d); err != nil {
			return fmt.Errorf("%s %s: %w", s.Name, s.Type, err)
		}
	}
	return nil
}

func (s RecordSet) checkAlias() error {
	switch {
	case s.Type != A && s.Type != AAAA:
		return fmt.Errorf("%s %s: an alias is of addresses", s.Name, s.Type)
	case len(s.Data) > 0 || s.TTL != 0:
		return fmt.Errorf("%s %s: an alias has no data and no TTL of its own", s.Name, s.Type)
	case s.Alias.Zone == "" || s.Alias.Name != Absolute(s.Alias.Name):
		return fmt.Errorf("%s %s: alias of %q in zone %q is not canonical", s.Name, s.Type, s.Alias.Name, s.Alias.Zone)
	}
	return checkTarget(s.Alias.Name)
}

func checkData(t Type, d string) error {
	switch t {
	case A, AAAA:
		addr, err := netip.ParseAddr(d)
		if err != nil {
			return err
		}
		if (t == A) != addr.Is4() {
			return fmt.Errorf("%s is of the other address family", d)
		}
		if t == AAAA && (addr.Is4In6() || addr.Zone() != "") {
			return fmt.Errorf("%s cannot be an AAAA record", d)
		}
	case CNAME:
		return checkTarget(d)
	case SRV:
		f := strings.Fields(d)
		if len(f) != 4 {
			return fmt.Errorf("%q is not \"priority weight port target\"", d)
		}
		for _, number := range f[:3] {
			if _, err := strconv.ParseUint(number, 10, 16); err != nil {
				return fmt.Errorf("%q: %w", d, err)
			}
		}
		return checkTarget(f[3])
	case TXT:
		_, err := Unquote(d)
		return err
	default:
		return fmt.Errorf("type %q is not one that the federation publishes", t)
	}
	return nil
}

func checkTarget(name string) error {
	if !strings.HasSuffix(name, ".") || len(name) > 254 {
		return fmt.Errorf("target %q is not an absolute name of at most 253 octets", name)
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if err := checkLabel(label); err != nil {
			return fmt.Errorf("target %q: %w", name, err)
		}
	}
	return nil
}

// Quote writes a text as TXT data: strings of at most 255 octets in quotation marks (RFC 1035 sections 3.3.14 and 5.1).
func Quote(text string) string {
	if quoted := `"` + text + `"`; len(text) <= 255 {
		if _, plain := plainText(quoted); plain {
			return quoted
		}
	}
	var b strings.Builder
	for first := true; first || text != ""; first = false {
		if !first {
			b.WriteByte(' ')
		}
		chunk := text[:min(255, len(text))]
		text = text[len(chunk):]
		b.WriteByte('"')
		for i := range len(chunk) {
			switch c := chunk[i]; {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, "\\%03d", c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}

// Unquote reads TXT data, joining its strings.
func Unquote(data string) (string, error) {
	if text, plain := plainText(data); plain {
		return text, nil
	}
	var b strings.Builder
	quoted, seen := false, false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case c == '"':
			quoted, seen = !quoted, true
		case !quoted && c == ' ':
		case !quoted:
			return "", fmt.Errorf("TXT data %q is not in quotation marks", data)
		case c == '\\' && i+3 < len(data) && isDigits(data[i+1:i+4]):
			n, err := strconv.ParseUint(data[i+1:i+4], 10, 8)
			if err != nil {
				return "", fmt.Errorf("TXT data %q: %w", data, err)
			}
			b.WriteByte(byte(n))
			i += 3
		case c == '\\' && i+1 < len(data):
			i++
			b.WriteByte(data[i])
		default:
			b.WriteByte(c)
		}
	}
	if quoted || !seen {
		return "", fmt.Errorf("TXT data %q lacks a quotation mark", data)
	}
	return b.String(), nil
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
