package route53

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"kubefed.dev/kubefed/pkg/dns"
)

// name reads a name as Route 53 writes it: what is not a letter, digit, hyphen, underscore or dot comes as a backslash and
// three octal digits, so "*" as "\052".
func name(s string) string { return dns.Absolute(unescape(s)) }

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, ok := octal(s[i:]); ok {
			b.WriteByte(c)
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// octal reads a backslash and three octal digits at the start of s.
func octal(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' {
		return 0, false
	}
	n := 0
	for _, c := range s[1:4] {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n*8 + int(c-'0')
	}
	return byte(n), n < 256
}

// text writes TXT data for Route 53: strings of at most 255 octets in quotation marks, with octal escapes where RFC 1035 has decimal
// ones.
func text(data string) string {
	plain, err := dns.Unquote(data)
	if err != nil {
		return data
	}
	var b strings.Builder
	for first := true; first || plain != ""; first = false {
		if !first {
			b.WriteByte(' ')
		}
		chunk := plain[:min(255, len(plain))]
		plain = plain[len(chunk):]
		b.WriteByte('"')
		for i := range len(chunk) {
			switch c := chunk[i]; {
			case c == '"':
				b.WriteString(`\"`)
			case c < ' ' || c > '~' || c == '\\':
				fmt.Fprintf(&b, `\%03o`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}

// readText is the inverse of text. Data that can't be read is kept as it is.
func readText(value string) string {
	var plain strings.Builder
	quoted := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		escaped, isOctal := octal(value[i:])
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t'):
		case !quoted:
			return value
		case isOctal:
			plain.WriteByte(escaped)
			i += 3
		case c == '\\' && i+1 < len(value):
			i++
			plain.WriteByte(value[i])
		default:
			plain.WriteByte(c)
		}
	}
	if quoted {
		return value
	}
	return dns.Quote(plain.String())
}

// read is a record set in canonical form.
func (p *Provider) read(z *zone, raw types.ResourceRecordSet) dns.RecordSet {
	set := dns.RecordSet{Name: name(aws.ToString(raw.Name)), Type: dns.Type(raw.Type), TTL: uint32(aws.ToInt64(raw.TTL))}
	for _, r := range raw.ResourceRecords {
		value := aws.ToString(r.Value)
		switch set.Type {
		case dns.TXT:
			value = readText(value)
		case dns.CNAME, dns.SRV:
			value = unescape(value)
		}
		set.Data = append(set.Data, value)
	}
	if raw.AliasTarget != nil {
		set.Alias = dns.Alias{Zone: aws.ToString(raw.AliasTarget.HostedZoneId), Name: name(aws.ToString(raw.AliasTarget.DNSName)),
			EvaluateHealth: raw.AliasTarget.EvaluateTargetHealth}
	}
	if id := aws.ToString(raw.SetIdentifier); id != "" {
		set.SetID = id
		if cluster, ours := strings.CutPrefix(id, p.options.Federation+"/"); ours {
			if cluster, ours = strings.CutSuffix(cluster, shortHash(set.Name)); ours {
				set.SetID = cluster
			}
		}
		switch {
		case raw.Weight != nil:
			set.Routing = dns.Routing{Policy: dns.Weighted, Weight: uint32(*raw.Weight)}
		case aws.ToBool(raw.MultiValueAnswer):
			set.Routing = dns.Routing{Policy: dns.All}
		case raw.Region != "":
			set.Routing = dns.Routing{Policy: dns.Nearest, Region: string(raw.Region)}
		case raw.Failover != "":
			set.Routing = dns.Routing{Policy: dns.Ordered, Backup: raw.Failover == types.ResourceRecordSetFailoverSecondary}
		}
	}
	set = set.Canonical()
	return z.checks.read(set, aws.ToString(raw.HealthCheckId))
}

// write is a record set as Route 53 takes it.
func (p *Provider) write(z *zone, set dns.RecordSet) types.ResourceRecordSet {
	raw := types.ResourceRecordSet{Name: aws.String(set.Name), Type: types.RRType(set.Type)}
	if set.Alias != (dns.Alias{}) {
		raw.AliasTarget = &types.AliasTarget{HostedZoneId: aws.String(set.Alias.Zone), DNSName: aws.String(set.Alias.Name), EvaluateTargetHealth: set.Alias.EvaluateHealth}
	} else {
		raw.TTL = aws.Int64(int64(set.TTL))
	}
	for _, d := range set.Data {
		if set.Type == dns.TXT {
			d = text(d)
		}
		raw.ResourceRecords = append(raw.ResourceRecords, types.ResourceRecord{Value: aws.String(d)})
	}
	if q, asks := questionOf(set); asks {
		if id := z.checks.id(q); id != "" {
			raw.HealthCheckId = &id
		}
	} else if set.Health.Type == otherCheck {
		raw.HealthCheckId = aws.String(set.Health.Host)
	}
	if set.SetID != "" {
		raw.SetIdentifier = aws.String(p.options.Federation + "/" + set.SetID + shortHash(set.Name))
		switch set.Routing.Policy {
		case dns.All:
			raw.MultiValueAnswer = aws.Bool(true)
		case dns.Ordered:
			raw.Failover = types.ResourceRecordSetFailoverPrimary
			if set.Routing.Backup {
				raw.Failover = types.ResourceRecordSetFailoverSecondary
			}
		case dns.Nearest:
			raw.Region = types.ResourceRecordSetRegion(set.Routing.Region)
		default:
			raw.Weight = aws.Int64(int64(set.Routing.Weight))
		}
	}
	return raw
}

// shortHash makes the identifiers of one cluster different at each name: people who search for one find one.
func shortHash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "#" + hex.EncodeToString(sum[:4])
}
