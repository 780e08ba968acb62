package policy

import (
	"slices"
	"strconv"
	"strings"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Cluster is what cluster selectors look at.
type Cluster struct {
	Name             string
	Labels           map[string]string
	Provider, Region string
	Zones            []string
}

// ClusterOf reads a Cluster.
func ClusterOf(c *federation.Cluster) Cluster {
	return Cluster{
		Name: c.Name, Labels: c.Labels, Provider: c.Status.Provider, Region: c.Status.Region, Zones: c.Status.Zones,
	}
}

// MatchCluster says whether a selector means a cluster. nil means every cluster.
func MatchCluster(s *federation.ClusterSelector, c *Cluster) bool {
	if s == nil {
		return true
	}
	if len(s.Names) > 0 && !slices.Contains(s.Names, c.Name) || slices.Contains(s.Exclude, c.Name) {
		return false
	}
	for key, value := range s.MatchLabels {
		if got, has := c.Labels[key]; !has || got != value {
			return false
		}
	}
	for i := range s.MatchExpressions {
		r := &s.MatchExpressions[i]
		if value, has := c.Labels[r.Key]; !satisfies(r, value, has) {
			return false
		}
	}
	for i := range s.MatchFields {
		if !c.field(&s.MatchFields[i]) {
			return false
		}
	}
	return true
}

// field says whether a requirement on a field holds. The field zone has several values: In, Exists, Gt and Lt hold
// where one of them does, NotIn and DoesNotExist where all of them do.
func (c *Cluster) field(r *federation.ClusterRequirement) bool {
	if r.Key != federation.FieldZone || len(c.Zones) == 0 {
		value := c.Field(r.Key)
		return satisfies(r, value, value != "")
	}
	holds := func(zone string) bool { return satisfies(r, zone, true) }
	if r.Operator == federation.OperatorNotIn || r.Operator == federation.OperatorDoesNotExist {
		return !slices.ContainsFunc(c.Zones, func(zone string) bool { return !holds(zone) })
	}
	return slices.ContainsFunc(c.Zones, holds)
}

// Field is the value of one of the fields that MatchFields can name, "" where it is unknown. Several zones are joined
// by commas.
func (c *Cluster) Field(key string) string {
	switch key {
	case federation.FieldName:
		return c.Name
	case federation.FieldProvider:
		return c.Provider
	case federation.FieldRegion:
		return c.Region
	case federation.FieldZone:
		return strings.Join(c.Zones, ",")
	}
	return ""
}

// satisfies says whether a value meets a requirement, with Kubernetes' meaning: NotIn holds where there is no value,
// Gt and Lt compare whole numbers and hold for nothing else.
func satisfies(r *federation.ClusterRequirement, value string, has bool) bool {
	switch r.Operator {
	case federation.OperatorIn:
		return has && slices.Contains(r.Values, value)
	case federation.OperatorNotIn:
		return !has || !slices.Contains(r.Values, value)
	case federation.OperatorExists:
		return has
	case federation.OperatorDoesNotExist:
		return !has
	case federation.OperatorGt, federation.OperatorLt:
		if !has || len(r.Values) != 1 {
			return false
		}
		left, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return false
		}
		right, err := strconv.ParseInt(r.Values[0], 10, 64)
		if err != nil {
			return false
		}
		return r.Operator == federation.OperatorGt && left > right || r.Operator == federation.OperatorLt && left < right
	}
	return false
}
