package dns

import (
	"fmt"
	"strings"
)

// Names makes the names of one federated Service, as Federation v1 did, and one more per provider and per cluster.
// All are absolute, in lower case, with the final dot.
type Names struct {
	Service, Namespace, Federation string
	// Domain is the zone in which they are, absolute.
	Domain string
}

// Global is the name that answers with the best endpoints of the whole federation.
func (n Names) Global() string { return n.level("") }

// Region answers with the endpoints of one region.
func (n Names) Region(region string) string { return n.level(region) }

// Zone answers with the endpoints of one zone of a region.
func (n Names) Zone(zone, region string) string { return n.level(zone + "." + region) }

// Provider answers with the endpoints of one cloud.
func (n Names) Provider(provider string) string { return n.level(provider + ".cloud") }

// Cluster answers with the endpoints of one cluster and never with another's.
func (n Names) Cluster(cluster string) string {
	return strings.ToLower(cluster) + ".cluster." + n.level("")
}

// Port is the name of a named port's SRV records (RFC 2782).
func (n Names) Port(port, protocol string) string {
	return strings.ToLower("_"+port+"._"+protocol) + "." + n.level("")
}

func (n Names) level(where string) string {
	if where != "" {
		where += "."
	}
	return strings.ToLower(n.Service + "." + n.Namespace + "." + n.Federation + ".svc." + where + n.Domain)
}

// reserved are the words that stand where a region's name would: a region of that name would answer for others.
var reserved = map[string]bool{"svc": true, "cloud": true, "cluster": true}

// CheckPlace tells why a region, zone or provider cannot be part of a name.
func CheckPlace(label string) error {
	if reserved[strings.ToLower(label)] {
		return fmt.Errorf("%q is a word of the federation's own names; set another name in the Cluster's spec", label)
	}
	return checkLabel(label)
}

func checkLabel(label string) error {
	if label == "" {
		return fmt.Errorf("empty label")
	}
	if len(label) > 63 {
		return fmt.Errorf("label %q has %d octets; DNS allows 63 (RFC 1035 section 2.3.4)", label, len(label))
	}
	for i := range len(label) {
		c := label[i]
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' && i == 0 ||
			c == '-' && i > 0 && i < len(label)-1
		if !ok {
			return fmt.Errorf("label %q has %q at place %d; use letters, digits and inner hyphens", label, c, i+1)
		}
	}
	return nil
}

// CheckName tells why a name cannot be published: it is not absolute, a label is malformed or has more than 63 octets, or
// there is no room in 253 octets for the name and the ownership record beside it. A first label "*" is a wildcard.
func CheckName(name string) error {
	if !strings.HasSuffix(name, ".") {
		return fmt.Errorf("name %q does not end in a dot", name)
	}
	rest := strings.TrimSuffix(name, ".")
	if owner := len(OwnerName(name)) - 1; owner > 253 {
		return fmt.Errorf("name %q and its ownership record need %d octets; DNS allows 253: shorten the names of the Service, namespace or zone", name, owner)
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(rest, "*."), ".") {
		if err := checkLabel(label); err != nil {
			return fmt.Errorf("name %q: %w", name, err)
		}
	}
	return nil
}

// InZone says whether name is the zone's apex or below it.
func InZone(name, zone string) bool {
	return zone == "." || name == zone || strings.HasSuffix(name, "."+zone)
}

// Absolute is the name in lower case with its final dot.
func Absolute(name string) string {
	name = strings.ToLower(name)
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	return name
}
