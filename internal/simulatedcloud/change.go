package simulatedcloud

import (
	"fmt"
	"slices"

	"kubefed.dev/kubefed/pkg/cloud"
)

// SetZone makes a zone Available, Impaired or Unavailable.
func (s *State) SetZone(name string, state cloud.ZoneState) error {
	var all []string
	for _, c := range s.Clusters {
		all = append(all, c.Zones...)
	}
	if !slices.Contains(all, name) {
		return fmt.Errorf("no cluster of the playground is in zone %q: choose from %v", name, all)
	}
	if s.Zones == nil {
		s.Zones = map[string]Zone{}
	}
	s.Zones[name] = Zone{State: state}
	if state == cloud.ZoneAvailable {
		delete(s.Zones, name)
	}
	return nil
}

// SetPrice has machines where a cluster is cost so many times what they usually do.
func (s *State) SetPrice(cluster string, factor float64) error {
	i := slices.IndexFunc(s.Clusters, func(c Cluster) bool { return c.Name == cluster })
	if i < 0 {
		return fmt.Errorf("the playground has no cluster %q", cluster)
	}
	if !(factor > 0) || factor > 1000 {
		return fmt.Errorf("factor %g: write a number above 0, at most 1000; 1 is the usual price", factor)
	}
	if s.Factors == nil {
		s.Factors = map[string]float64{}
	}
	for _, c := range s.Clusters { // a region has one price
		if c.Provider == s.Clusters[i].Provider && c.Region == s.Clusters[i].Region {
			delete(s.Factors, c.Name)
		}
	}
	if factor != 1 {
		s.Factors[cluster] = factor
	}
	return nil
}

// SetRevoked has an account's credentials refused, or accepted again.
func (s *State) SetRevoked(account string, revoked bool) error {
	var accounts []string
	for _, a := range s.config().Accounts {
		accounts = append(accounts, a.Name)
	}
	if !slices.Contains(accounts, account) {
		return fmt.Errorf("there is no account %q: choose from %v", account, accounts)
	}
	s.Revoked = slices.DeleteFunc(s.Revoked, func(a string) bool { return a == account })
	if revoked {
		s.Revoked = append(s.Revoked, account)
	}
	return nil
}

// Row is one zone as the clouds tell of it.
type Row struct {
	Cluster  string          `json:"cluster"`
	Provider string          `json:"provider"`
	Region   string          `json:"region"`
	Zone     string          `json:"zone"`
	State    cloud.ZoneState `json:"state"`
	// Factor is by how much machines cost more than usual.
	Factor float64 `json:"factor"`
	// Refused: the credentials of its account are revoked.
	Refused bool `json:"refused"`
}

// Rows are all zones of all clusters.
func (s *State) Rows() []Row {
	var rows []Row
	for _, c := range s.Clusters {
		for _, zone := range c.Zones {
			state := cloud.ZoneAvailable
			if ill, is := s.Zones[zone]; is {
				state = ill.State
			}
			rows = append(rows, Row{Cluster: c.Name, Provider: c.Provider, Region: c.Region, Zone: zone, State: state,
				Factor: s.factor(c.Provider, c.Region), Refused: slices.Contains(s.Revoked, c.Provider)})
		}
	}
	return rows
}
