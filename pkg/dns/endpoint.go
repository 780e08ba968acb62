package dns

import (
	"fmt"
	"net/netip"
	"slices"
)

// State is what is believed of an endpoint.
type State string

const (
	// Healthy answers, or is not probed and its member says so.
	Healthy State = "Healthy"
	// Degraded answers with less than its share: published, with the weight that is ready.
	Degraded State = "Degraded"
	// Unhealthy does not answer, or its member says that nothing is ready.
	Unhealthy State = "Unhealthy"
	// Unknown: nothing new was learned. It stays published if it is, and stays out if it is not.
	Unknown State = "Unknown"
	// Draining is on its way out by intent: no answer names it while others are there, unless it is Kept.
	Draining State = "Draining"
)

// Endpoint is where one cluster serves a subject. A cluster without addresses has one too: its region and zones have names
// all the same, which fall back.
type Endpoint struct {
	Cluster  string
	Provider string
	Region   string
	// Zones are all zones of the cluster; each gets a name.
	Zones []string
	// Addresses are of both families, in any order.
	Addresses []netip.Addr
	// Hostnames of load balancers; what they resolve to is among Addresses.
	Hostnames []string
	Ports     []Port
	// ProbePort is the one that is asked whether it answers; 0 for none.
	ProbePort uint16
	// Weight is ready capacity, such as ready pods.
	Weight uint32
	// Order is the rank of the cluster's group for policy Ordered; the lowest with a usable endpoint answers.
	Order int
	State State
	// Kept: Draining, and what takes its place is not ready yet: it answers as a healthy one.
	Kept bool
	// Doubtful: Unhealthy, or about to be, on the evidence of reachability alone, from one vantage point; no watch confirmed it.
	Doubtful bool
}

// Port is a named port.
type Port struct {
	Name string
	// Protocol is "tcp" or "udp".
	Protocol string
	Number   uint16
}

// Policy says which usable endpoints answer.
type Policy string

const (
	// All: every usable endpoint.
	All Policy = "All"
	// Weighted: in proportion to weight. A provider without routing answers with all whose weight is not 0.
	Weighted Policy = "Weighted"
	// Nearest: those in the client's region, else in its cloud, else all. A provider without routing answers with all.
	Nearest Policy = "Nearest"
	// Ordered: the group with the lowest order in which an endpoint is usable.
	Ordered Policy = "Ordered"
)

// Fallback says what a level without endpoints of its own publishes.
type Fallback string

const (
	// Flatten publishes the next wider level's addresses.
	Flatten Fallback = "Flatten"
	// ToWider publishes a CNAME to the next wider level, as Federation v1 did.
	ToWider Fallback = "CNAME"
	// Strict publishes nothing.
	Strict Fallback = "None"
)

// WhenDead says what is published when no endpoint is usable.
type WhenDead string

const (
	// Static keeps what was published last.
	Static WhenDead = "Static"
	// Open publishes all endpoints.
	Open WhenDead = "Open"
	// Closed publishes nothing; the names exist still, without data.
	Closed WhenDead = "Closed"
	// Sorry publishes the addresses of a page that says so.
	Sorry WhenDead = "Sorry"
)

// Settings are a subject's wishes. The zero value of each means its default.
type Settings struct {
	Policy   Policy
	Fallback Fallback
	WhenDead WhenDead
	// TTL is in seconds, 20 by default.
	TTL uint32
	// SorryAddresses are needed for WhenDead Sorry.
	SorryAddresses []netip.Addr
	// Health is what providers ask that check the health of endpoints themselves; its port is each endpoint's own. Without a type they
	// ask nothing.
	Health HealthCheck
}

const (
	defaultTTL = 20
	// urgentTTL is served while something is moving or in doubt, so that clients come back soon.
	urgentTTL = 5
	// maxTTL is a day: a mistake lasts as long as it is cached.
	maxTTL = 86400
	// maxAddresses keeps an answer well below 1232 octets, whatever the name.
	maxAddresses = 8
)

func (s Settings) withDefaults() Settings {
	if s.Policy == "" {
		s.Policy = All
	}
	if s.Fallback == "" {
		s.Fallback = Flatten
	}
	if s.WhenDead == "" {
		s.WhenDead = Static
	}
	if s.TTL == 0 {
		s.TTL = defaultTTL
	}
	return s
}

// Check tells what is wrong with settings.
func (s Settings) Check() error {
	s = s.withDefaults()
	if !slices.Contains([]Policy{All, Weighted, Nearest, Ordered}, s.Policy) {
		return fmt.Errorf("policy %q: use All, Weighted, Nearest or Ordered", s.Policy)
	}
	if !slices.Contains([]Fallback{Flatten, ToWider, Strict}, s.Fallback) {
		return fmt.Errorf("fallback %q: use Flatten, CNAME or None", s.Fallback)
	}
	if !slices.Contains([]WhenDead{Static, Open, Closed, Sorry}, s.WhenDead) {
		return fmt.Errorf("when dead %q: use Static, Open, Closed or Sorry", s.WhenDead)
	}
	if s.WhenDead == Sorry && len(s.SorryAddresses) == 0 {
		return fmt.Errorf("when dead \"Sorry\" needs addresses")
	}
	if s.TTL > maxTTL {
		return fmt.Errorf("TTL %d s: use at most %d", s.TTL, maxTTL)
	}
	return nil
}

// Subject is a federated object whose endpoints get names: a Service, or an Ingress or Gateway with its hosts.
type Subject struct {
	Owner Owner
	// Names are a Service's; zero for an object that has hosts only.
	Names Names
	// Hosts are further names that answer as the global name does; "*.shop.example." is a wildcard.
	Hosts     []string
	Settings  Settings
	Endpoints []Endpoint
	// Published are the addresses that the zone holds for this object now, at any of its names. They are the memory of
	// what Unknown and Static keep, so that it outlives a restart.
	Published []netip.Addr
	// Urgent lowers the TTL: an endpoint is about to move, or is in doubt.
	Urgent bool
	// Stale: what is known of the object is old. What is published stays, additions are made.
	Stale bool
	// Adopt are sets of someone else at the names that may be taken over if they are exactly so.
	Adopt []RecordSet
}
