package named

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/probe"
)

// SettingsOf are the settings in force for an object: its annotations, then the policy's, which may be nil. An annotation that
// can't be read is left out, and told in the error.
func SettingsOf(annotations map[string]string, policy *federation.DNSSettings) (federation.DNSSettings, error) {
	var s federation.DNSSettings
	if policy != nil {
		s = *policy.DeepCopy()
	}
	var errs []error
	for _, a := range readers {
		value, ok := annotations[a.name]
		if !ok {
			continue
		}
		if err := a.read(&s, strings.TrimSpace(value)); err != nil {
			errs = append(errs, fmt.Errorf("annotation %s: %w", a.name, err))
		}
	}
	if s.WhenDead == federation.WhenDeadSorry && len(s.SorryAddresses) == 0 {
		errs = append(errs, fmt.Errorf("annotation %s: Sorry needs addresses; give them in %s", federation.AnnotationDNSWhenDead, federation.AnnotationDNSSorryAddresses))
		s.WhenDead = ""
	}
	return s, errors.Join(errs...)
}

// reader reads one annotation.
type reader struct {
	name string
	read func(*federation.DNSSettings, string) error
}

// readers are in the order in which they build on one another.
var readers = []reader{
	{federation.AnnotationDNSPublish, func(s *federation.DNSSettings, v string) error {
		publish, err := strconv.ParseBool(strings.ToLower(v))
		if err != nil {
			return fmt.Errorf("%q: use \"true\" or \"false\"", v)
		}
		s.Publish = &publish
		return nil
	}},
	{federation.AnnotationDNSRouting, func(s *federation.DNSSettings, v string) error {
		return oneOf(&s.Routing, v, federation.RoutingAll, federation.RoutingWeighted, federation.RoutingNearest, federation.RoutingOrdered)
	}},
	{federation.AnnotationDNSTTL, readTTL},
	{federation.AnnotationDNSFallback, func(s *federation.DNSSettings, v string) error {
		return oneOf(&s.Fallback, v, federation.FallbackFlatten, federation.FallbackCNAME, federation.FallbackNone)
	}},
	{federation.AnnotationDNSWhenDead, func(s *federation.DNSSettings, v string) error {
		return oneOf(&s.WhenDead, v, federation.WhenDeadStatic, federation.WhenDeadOpen, federation.WhenDeadClosed, federation.WhenDeadSorry)
	}},
	{federation.AnnotationDNSSorryAddresses, readSorry},
	{federation.AnnotationDNSProbe, readProbe},
	{federation.AnnotationDNSProbeStatus, readProbeStatus},
	{federation.AnnotationDNSAdopt, func(_ *federation.DNSSettings, v string) error {
		_, err := AdoptOf(v)
		return err
	}},
}

// oneOf reads an enumeration whatever its case.
func oneOf(into *string, v string, values ...string) error {
	for _, value := range values {
		if strings.EqualFold(v, value) {
			*into = value
			return nil
		}
	}
	return fmt.Errorf("%q: use one of %s", v, strings.Join(values, ", "))
}

const maxTTLSeconds = 86400

func readTTL(s *federation.DNSSettings, v string) error {
	d, err := time.ParseDuration(v)
	if seconds, errNumber := strconv.ParseInt(v, 10, 32); errNumber == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d < time.Second || d > maxTTLSeconds*time.Second || d%time.Second != 0 {
		return fmt.Errorf("%q: give whole seconds from 1 to %d, such as 20, 20s or 5m", v, maxTTLSeconds)
	}
	seconds := int32(d / time.Second)
	s.TTLSeconds = &seconds
	return nil
}

const maxSorry = 8

func readSorry(s *federation.DNSSettings, v string) error {
	var addresses []string
	for _, field := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' }) {
		a, err := netip.ParseAddr(field)
		if err != nil || a.Zone() != "" {
			return fmt.Errorf("%q is no IP address; divide addresses by commas", field)
		}
		addresses = append(addresses, a.Unmap().String())
	}
	if len(addresses) == 0 || len(addresses) > maxSorry {
		return fmt.Errorf("%d addresses: give 1 to %d", len(addresses), maxSorry)
	}
	s.SorryAddresses = addresses
	return nil
}

// readProbe reads "none", "tcp", "tcp:PORT" and URLs whose host and port may be left out. What a probe of the policy says of
// timing stays.
func readProbe(s *federation.DNSSettings, v string) error {
	p := federation.EndpointProbe{}
	if s.Probe != nil {
		p.PeriodSeconds, p.TimeoutSeconds = s.Probe.PeriodSeconds, s.Probe.TimeoutSeconds
	}
	lower := strings.ToLower(v)
	switch {
	case lower == "none":
		p.Type = federation.ProbeNone
	case lower == "tcp":
		p.Type = federation.ProbeTCP
	case strings.HasPrefix(lower, "tcp:"):
		p.Type = federation.ProbeTCP
		port, err := portOf(v[len("tcp:"):])
		if err != nil {
			return err
		}
		p.Port = port
	case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
		u, err := url.Parse(v)
		if err != nil || u.User != nil || u.Fragment != "" {
			return fmt.Errorf("%q is no URL of a probe; use http://[HOST][:PORT]/PATH", v)
		}
		p.Type, p.Host, p.Path = strings.ToUpper(u.Scheme), u.Hostname(), u.EscapedPath()
		if u.RawQuery != "" {
			p.Path += "?" + u.RawQuery
		}
		if u.Port() != "" {
			if p.Port, err = portOf(u.Port()); err != nil {
				return err
			}
		}
		if len(p.Host) > 253 || len(p.Path) > 1024 {
			return errors.New("the host has more than 253 octets, or the path more than 1024; shorten them")
		}
	default:
		return fmt.Errorf("%q: use none, tcp, tcp:PORT, http://[HOST][:PORT]/PATH or https://[HOST][:PORT]/PATH", v)
	}
	s.Probe = &p
	return nil
}

func portOf(text string) (*int32, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("port %q: give a number from 1 to 65535", text)
	}
	port := int32(n)
	return &port, nil
}

var statusRange = regexp.MustCompile(`^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$`)

func readProbeStatus(s *federation.DNSSettings, v string) error {
	if !statusRange.MatchString(v) {
		return fmt.Errorf("%q: give an HTTP status or a range, such as 200 or 200-399", v)
	}
	if s.Probe == nil || s.Probe.Type != federation.ProbeHTTP && s.Probe.Type != federation.ProbeHTTPS {
		return fmt.Errorf("there is no HTTP probe; name one in %s", federation.AnnotationDNSProbe)
	}
	probe := *s.Probe
	probe.ExpectedStatus = v
	s.Probe = &probe
	return nil
}

// AdoptOf reads records of someone else that may be taken over: lines of "NAME TTL TYPE DATA". Lines of one name and type are one
// set.
func AdoptOf(text string) ([]dns.RecordSet, error) {
	var sets []dns.RecordSet
	for line := range strings.Lines(text) {
		rest := strings.TrimSpace(line)
		if rest == "" {
			continue
		}
		var fields [3]string
		for i := range fields {
			if at := strings.IndexAny(rest, " \t"); at > 0 {
				fields[i], rest = rest[:at], strings.TrimLeft(rest[at:], " \t")
			}
		}
		if fields[2] == "" {
			return nil, fmt.Errorf("line %q: give NAME TTL TYPE DATA, such as www.example.com. 300 A 192.0.2.1", strings.TrimSpace(line))
		}
		ttl, err := strconv.ParseUint(fields[1], 10, 31)
		if err != nil {
			return nil, fmt.Errorf("line %q: %q is no TTL in seconds", strings.TrimSpace(line), fields[1])
		}
		set := dns.RecordSet{Name: dns.Absolute(fields[0]), Type: dns.Type(strings.ToUpper(fields[2])), TTL: uint32(ttl), Data: []string{rest}}
		i := slices.IndexFunc(sets, func(s dns.RecordSet) bool { return s.Key() == set.Key() })
		if i < 0 {
			sets = append(sets, set)
			continue
		}
		sets[i].Data = append(sets[i].Data, set.Data...)
	}
	for i := range sets {
		sets[i] = sets[i].Canonical()
		if err := sets[i].Check(); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// Published says whether settings ask for names at all.
func Published(s federation.DNSSettings) bool { return s.Publish == nil || *s.Publish }

// Limits of providers' health checks.
const maxHealthText = 255

// HealthOf is what a provider asks that checks the health of endpoints itself, as near to the probe as it can be: it takes any status
// from 200 to 399 for an answer, so where others are expected it asks for a connection. hosts are the object's own.
func HealthOf(p *federation.EndpointProbe, hosts []string) dns.HealthCheck {
	if p == nil {
		return dns.HealthCheck{Type: federation.ProbeTCP}
	}
	h := dns.HealthCheck{Type: p.Type, Fast: p.PeriodSeconds != nil && *p.PeriodSeconds <= 10}
	low, high, given := probe.StatusRange(p.ExpectedStatus)
	switch {
	case p.Type == federation.ProbeNone:
		return dns.HealthCheck{}
	case p.Type != federation.ProbeHTTP && p.Type != federation.ProbeHTTPS, given && (low < 200 || high > 399), len(p.Path) > maxHealthText:
		h.Type = federation.ProbeTCP
		return h
	}
	h.Host, h.Path = p.Host, p.Path
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Host == "" && len(hosts) > 0 && !strings.HasPrefix(hosts[0], "*") {
		h.Host = strings.TrimSuffix(hosts[0], ".")
	}
	return h
}

// Planned are settings as pkg/dns knows them.
func Planned(s federation.DNSSettings) dns.Settings {
	out := dns.Settings{Policy: dns.Policy(s.Routing), Fallback: dns.Fallback(s.Fallback), WhenDead: dns.WhenDead(s.WhenDead)}
	if s.TTLSeconds != nil {
		out.TTL = uint32(*s.TTLSeconds)
	}
	for _, text := range s.SorryAddresses {
		if a, err := netip.ParseAddr(text); err == nil {
			out.SorryAddresses = append(out.SorryAddresses, a.Unmap())
		}
	}
	return out
}
