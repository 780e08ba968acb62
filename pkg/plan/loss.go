package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Domain is something that can fail as a whole.
type Domain struct {
	// Field is federation.FieldName for a single cluster, FieldZone, FieldRegion or FieldProvider.
	Field string `json:"field"`
	Value string `json:"value"`
}

func (d Domain) String() string {
	if d.Field == federation.FieldName {
		return "cluster " + d.Value
	}
	return d.Field + " " + d.Value
}

// ParseDomain reads "gondor", "provider=aws", "region=us-east-1" or "zone=us-east-1a".
func ParseDomain(text string) (Domain, error) {
	field, value, found := strings.Cut(text, "=")
	if !found {
		field, value = federation.FieldName, text
	}
	if field == "cluster" {
		field = federation.FieldName
	}
	switch field {
	case federation.FieldName, federation.FieldZone, federation.FieldRegion, federation.FieldProvider:
		if value != "" {
			return Domain{field, value}, nil
		}
	}
	return Domain{}, fmt.Errorf("%q is no cluster, zone, region or provider: give a cluster's name, or provider=, region= or zone= and a value", text)
}

// Loss is what a failure takes away.
type Loss struct {
	// Clusters are lost as a whole.
	Clusters []string `json:"clusters,omitempty"`
	// Partly are clusters that lose one of several zones: there Kubernetes itself moves the pods.
	Partly []string `json:"partly,omitempty"`
}

// LossOf finds out what the failure of all these domains together takes away. An error names a domain that is nothing.
func (w *World) LossOf(domains ...Domain) (Loss, error) {
	var loss Loss
	known := make([]bool, len(domains))
	for _, c := range w.Clusters {
		zones := 0
		whole := false
		for i, d := range domains {
			switch {
			case d.Field == federation.FieldZone && slices.Contains(c.Zones, d.Value):
				zones, known[i] = zones+1, true
			case d.Field != federation.FieldZone && c.Field(d.Field) == d.Value:
				whole, known[i] = true, true
			}
		}
		switch {
		case whole || zones > 0 && zones == len(c.Zones):
			loss.Clusters = append(loss.Clusters, c.Name)
		case zones > 0:
			loss.Partly = append(loss.Partly, c.Name)
		}
	}
	for i, ok := range known {
		if !ok {
			if domains[i].Field == federation.FieldName {
				return loss, fmt.Errorf("no cluster %s has joined; see kubectl get clusters", domains[i].Value)
			}
			return loss, fmt.Errorf("no cluster has %s; see kubectl get clusters -o wide", domains[i])
		}
	}
	slices.Sort(loss.Clusters)
	slices.Sort(loss.Partly)
	return loss, nil
}

// Without is the world after some clusters were lost: their API is silent and they carry the taint that takes what runs
// there away.
func (w *World) Without(clusters ...string) *World {
	after := *w
	after.Clusters, after.lost = slices.Clone(w.Clusters), map[string]bool{}
	for i := range after.Clusters {
		c := &after.Clusters[i]
		if !slices.Contains(clusters, c.Name) {
			continue
		}
		after.lost[c.Name] = true
		c.Ready, c.Since, c.Down, c.Held = false, w.Now, true, ""
		c.Taints = append(slices.Clone(c.Taints), corev1.Taint{
			Key: federation.TaintDown, Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: w.Now},
		})
	}
	return &after
}

// Drained is the world in which some clusters live and are drained.
func (w *World) Drained(clusters ...string) *World {
	after := *w
	after.Clusters = slices.Clone(w.Clusters)
	for i := range after.Clusters {
		c := &after.Clusters[i]
		drained := slices.ContainsFunc(c.Taints, func(t corev1.Taint) bool { return t.Key == federation.TaintDrain })
		if slices.Contains(clusters, c.Name) && !drained {
			c.Taints = append(slices.Clone(c.Taints), corev1.Taint{
				Key: federation.TaintDrain, Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: w.Now},
			})
		}
	}
	return &after
}

// Domains lists what can fail: every provider, region, zone and cluster, in this order, each by name.
func (w *World) Domains() []Domain {
	order := []string{federation.FieldProvider, federation.FieldRegion, federation.FieldZone, federation.FieldName}
	seen := map[Domain]bool{}
	var domains []Domain
	add := func(field, value string) {
		if d := (Domain{field, value}); value != "" && !seen[d] {
			seen[d] = true
			domains = append(domains, d)
		}
	}
	for i := range w.Clusters {
		c := &w.Clusters[i]
		add(federation.FieldProvider, c.Provider)
		add(federation.FieldRegion, c.Region)
		for _, zone := range c.Zones {
			add(federation.FieldZone, zone)
		}
		add(federation.FieldName, c.Name)
	}
	slices.SortFunc(domains, func(a, b Domain) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Field), slices.Index(order, b.Field)), strings.Compare(a.Value, b.Value))
	})
	return domains
}

// Survival is what the loss of one domain would mean.
type Survival struct {
	Domain Domain `json:"domain"`
	Loss   Loss   `json:"loss"`
	// Affected objects have replicas or copies there, Replicas counts the replicas.
	Affected int   `json:"affected"`
	Replicas int32 `json:"replicas"`
	// Longest is the longest time that timers hold a replacement back.
	Longest time.Duration `json:"-"`
	// Dead are the objects that would not survive.
	Dead []Change `json:"dead,omitempty"`
}

// Survivability says of every domain whether the federation could lose it.
func (w *World) Survivability() []Survival {
	var all []Survival
	for _, d := range w.Domains() {
		loss, err := w.LossOf(d)
		if err != nil {
			continue // made from the clusters themselves
		}
		s := Survival{Domain: d, Loss: loss}
		if len(loss.Clusters) > 0 {
			after := w.Without(loss.Clusters...)
			for _, c := range Compare(w, after, after.Settle(), true) {
				if c.Lost > 0 {
					s.Affected++
					s.Replicas += c.lostReplicas()
					s.Longest = max(s.Longest, c.Waits.Duration)
				}
				if c.Problem != "" {
					s.Dead = append(s.Dead, c)
				}
			}
		}
		all = append(all, s)
	}
	return all
}
