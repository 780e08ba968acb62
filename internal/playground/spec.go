package playground

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Roles of clusters.
const (
	Host   = "host"
	Member = "member"
)

// Spec says what a cluster is and where it pretends to be.
type Spec struct {
	Name     string   `json:"name"`
	Role     string   `json:"role"`
	Provider string   `json:"provider"`
	Region   string   `json:"region"`
	Zones    []string `json:"zones"`
}

// DefaultHost is the name of the host cluster where none is given.
const DefaultHost = "rivendell"

// DefaultMembers are three members that differ in everything that placement looks at.
func DefaultMembers() []Spec {
	members, err := ParseMembers([]string{"gondor=aws/us-east-1,rohan=gcp/europe-west1,shire=on-premises/shire"})
	if err != nil {
		panic(err) // the text above is constant
	}
	return members
}

// ParseMembers reads name=provider/region/zones,...: what follows a comma and has no "=" is a further zone. Without
// zones a region has those that are usual for its provider.
func ParseMembers(texts []string) ([]Spec, error) {
	var specs []Spec
	for _, part := range strings.Split(strings.Join(texts, ","), ",") {
		name, place, isCluster := strings.Cut(strings.TrimSpace(part), "=")
		if !isCluster {
			if len(specs) == 0 || part == "" {
				return nil, fmt.Errorf("cluster %q: write name=provider/region/zones, for example gondor=aws/us-east-1/us-east-1a,us-east-1b", part)
			}
			last := &specs[len(specs)-1]
			last.Zones = append(last.Zones, name)
			continue
		}
		fields := strings.Split(place, "/")
		if len(fields) < 2 || len(fields) > 3 || fields[0] == "" || fields[1] == "" {
			return nil, fmt.Errorf("cluster %q: write name=provider/region/zones, for example gondor=aws/us-east-1/us-east-1a,us-east-1b", part)
		}
		spec := Spec{Name: name, Role: Member, Provider: fields[0], Region: fields[1]}
		if len(fields) == 3 {
			spec.Zones = []string{fields[2]}
		}
		specs = append(specs, spec)
	}
	for i := range specs {
		if len(specs[i].Zones) == 0 {
			specs[i].Zones = usualZones(specs[i].Provider, specs[i].Region)
		}
	}
	return specs, nil
}

func usualZones(provider, region string) []string {
	switch provider {
	case "aws":
		return []string{region + "a", region + "b", region + "c"}
	case "gcp":
		return []string{region + "-b", region + "-c", region + "-d"}
	}
	return []string{region}
}

// withHost puts the host cluster first. A host that is among the members is that cluster.
func withHost(members []Spec, host string) []Spec {
	specs := slices.Clone(members)
	for i := range specs {
		if specs[i].Name == host {
			specs[i].Role = Host
			return specs
		}
	}
	return slices.Insert(specs, 0, Spec{
		Name: host, Role: Host, Provider: "on-premises", Region: host, Zones: []string{host},
	})
}

func validate(specs []Spec) error {
	var errs []error
	seen := map[string]bool{}
	for _, s := range specs {
		if problems := validation.IsDNS1123Label(s.Name); len(problems) > 0 {
			errs = append(errs, fmt.Errorf("cluster name %q: %s", s.Name, problems[0]))
		}
		if seen[s.Name] {
			errs = append(errs, fmt.Errorf("cluster name %q is given twice: each cluster needs its own", s.Name))
		}
		seen[s.Name] = true
		for _, value := range append([]string{s.Provider, s.Region}, s.Zones...) {
			if problems := validation.IsValidLabelValue(value); len(problems) > 0 || value == "" {
				errs = append(errs, fmt.Errorf("cluster %s: %q can't be a provider, region or zone: it must be usable as the value of a node label", s.Name, value))
			}
		}
	}
	return errors.Join(errs...)
}
