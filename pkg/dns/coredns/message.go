package coredns

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kubefed.dev/kubefed/pkg/dns"
)

// message is a value in etcd, as CoreDNS reads it.
type message struct {
	Host     string `json:"host,omitempty"`
	Port     int    `json:"port,omitempty"`
	Priority int    `json:"priority,omitempty"`
	Weight   int    `json:"weight,omitempty"`
	Text     string `json:"text,omitempty"`
	Mail     bool   `json:"mail,omitempty"`
	TTL      uint32 `json:"ttl,omitempty"`
	Group    string `json:"group,omitempty"`

	// Type and Data are what the message was made from; CoreDNS does not know them.
	Type dns.Type `json:"rrtype,omitempty"`
	Data string   `json:"data,omitempty"`
}

// unreadable is the type of a value that is no message; CoreDNS answers nothing at its name, so it is someone else's record there.
const unreadable dns.Type = "UNREADABLE"

// entry is a message with its key.
type entry struct {
	key      string
	revision int64
	message  message
}

// encode makes the value of one datum.
func encode(set dns.RecordSet, datum string) (string, error) {
	m := message{TTL: set.TTL, Group: set.Name, Type: set.Type, Data: datum}
	switch set.Type {
	case dns.A, dns.AAAA:
		m.Host = datum
	case dns.CNAME:
		m.Host = strings.TrimSuffix(datum, ".")
	case dns.TXT:
		text, err := dns.Unquote(datum)
		if err != nil {
			return "", err
		}
		m.Text = text
	case dns.SRV:
		f := strings.Fields(datum)
		var numbers [3]int
		for i := range numbers {
			n, err := strconv.ParseUint(f[i], 10, 16)
			if err != nil {
				return "", err
			}
			numbers[i] = int(n)
		}
		// CoreDNS takes 0 for "not given": priority 10, weight 100. One more each keeps their order.
		m.Priority, m.Weight, m.Port, m.Host = numbers[0]+1, max(1, numbers[1]), numbers[2], strings.TrimSuffix(f[3], ".")
	default:
		return "", fmt.Errorf("type %s has no message in CoreDNS", set.Type)
	}
	value, err := json.Marshal(m)
	return string(value), err
}

// decode says what a message answers: of which type and with which datum.
func (m message) decode() (dns.Type, string) {
	switch addr, err := netip.ParseAddr(m.Host); {
	case m.Type != "":
		return m.Type, m.Data
	case m.Host == "":
		return dns.TXT, dns.Quote(m.Text)
	case err == nil && addr.Is4():
		return dns.A, addr.String()
	case err == nil:
		return dns.AAAA, addr.String()
	case m.Mail:
		return "MX", fmt.Sprintf("%d %s", m.Priority, dns.Absolute(m.Host))
	case m.Port != 0:
		return dns.SRV, fmt.Sprintf("%d %d %d %s", m.Priority, m.Weight, m.Port, dns.Absolute(m.Host))
	}
	return dns.CNAME, dns.Absolute(m.Host)
}

// pathOf is where the keys of a name are.
func pathOf(prefix, name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	slices.Reverse(labels)
	return prefix + "/" + strings.Join(labels, "/")
}

// names are those for which CoreDNS answers with a key of its own: that of the path, and the one above it. A message of this package
// says which.
func (e entry) names(prefix string) []string {
	if n, ok := strings.CutPrefix(e.key, pathOf(prefix, e.message.Group)+"/x"); ok && e.message.Type != "" && strings.Trim(n, "0123456789") == "" {
		return []string{e.message.Group}
	}
	labels := strings.Split(strings.TrimPrefix(e.key, prefix+"/"), "/")
	slices.Reverse(labels)
	full := dns.Absolute(strings.Join(labels, "."))
	if len(labels) < 2 {
		return []string{full}
	}
	return []string{full, dns.Absolute(strings.Join(labels[1:], "."))}
}
