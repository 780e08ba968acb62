package placement

import (
	"slices"
	"sync"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

// Scope is what a policy says of each cluster of a list, worked out once for all objects of the policy. It is immutable.
type Scope struct {
	policy   *policy.Propagation
	clusters []Cluster
	marks    []mark
	// domains has one row for each spread constraint: the domain of each cluster, -1 where it has none.
	domains [][]int32
	names   [][]string // of the domains
	// free is what is free in each cluster, as numbers.
	free [][]nodes
	// rates are the clusters' prices, as numbers.
	rates []rate
}

// mark is what a policy says of one cluster: indexes, -1 for none.
type mark struct{ group, rule int32 }

// ScopeOf works out a Scope for clusters sorted by name, which must not change afterwards.
func ScopeOf(p *policy.Propagation, clusters []Cluster) *Scope {
	s := &Scope{policy: p, clusters: clusters, marks: make([]mark, len(clusters)), free: make([][]nodes, len(clusters)), rates: make([]rate, len(clusters))}
	rule := p.Rule
	for i := range clusters {
		m := mark{-1, -1}
		if len(rule.ClusterGroups) == 0 {
			m.group = 0
		}
		for g := range rule.ClusterGroups {
			if policy.MatchCluster(&rule.ClusterGroups[g].ClusterSelector, &clusters[i].Cluster) {
				m.group = int32(g)
				break
			}
		}
		if division := rule.ReplicaDivision; division != nil {
			for r := range division.Clusters {
				if policy.MatchCluster(&division.Clusters[r].ClusterSelector, &clusters[i].Cluster) {
					m.rule = int32(r)
					break
				}
			}
		}
		s.marks[i] = m
		s.free[i], s.rates[i] = nodesOf(&clusters[i]), rateOf(&clusters[i])
	}
	for k := range rule.TopologySpreadConstraints {
		row, names := domainsOf(rule.TopologySpreadConstraints[k].TopologyKey, clusters)
		s.domains, s.names = append(s.domains, row), append(s.names, names)
	}
	return s
}

// of returns the scope where it is one of this policy and of clusters of these names, else a new one.
func (s *Scope) of(p *policy.Propagation, clusters []Cluster) *Scope {
	if s != nil && s.policy == p && slices.EqualFunc(s.clusters, clusters, func(a, b Cluster) bool { return a.Name == b.Name }) {
		return s
	}
	return ScopeOf(p, clusters)
}

// domainsOf numbers the domains of a topology key.
func domainsOf(key string, clusters []Cluster) (row []int32, names []string) {
	row = make([]int32, len(clusters))
	known := map[string]int32{}
	for i := range clusters {
		value := domainOf(key, &clusters[i])
		if value == "" {
			row[i] = -1
			continue
		}
		n, has := known[value]
		if !has {
			n = int32(len(names))
			known[value], names = n, append(names, value)
		}
		row[i] = n
	}
	return row, names
}

func domainOf(key string, c *Cluster) string {
	switch key {
	case federation.TopologyCluster:
		return c.Name
	case federation.FieldProvider, federation.FieldRegion, federation.FieldZone:
		return c.Field(key)
	}
	return c.Labels[key]
}

// Scopes keeps the scopes of policies for one list of clusters. Its zero value is ready; it is safe for concurrent use.
type Scopes struct {
	mu       sync.Mutex
	clusters []Cluster
	known    map[*policy.Propagation]*Scope
}

// Of returns the scope of a policy for clusters sorted by name. It forgets what it knew for another list.
func (s *Scopes) Of(p *policy.Propagation, clusters []Cluster) *Scope {
	if p == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := len(s.clusters) == len(clusters) && (len(clusters) == 0 || &s.clusters[0] == &clusters[0])
	if !same || s.known == nil || len(s.known) > maxScopes {
		s.clusters, s.known = clusters, map[*policy.Propagation]*Scope{}
	}
	scope := s.known[p]
	if scope == nil {
		scope = ScopeOf(p, clusters)
		s.known[p] = scope
	}
	return scope
}

// maxScopes bounds what Scopes keeps of policies that are gone.
const maxScopes = 4096
