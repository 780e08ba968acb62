package placement

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// explain is the record of every cluster in a decision, from the numbers by which it was made.
func explain(q *question, candidates []candidate, excluded []exclusion) []Candidate {
	list := make([]Candidate, 0, len(candidates)+len(excluded))
	reasons := map[string]string{}
	for _, e := range excluded {
		reasons[e.cluster.Name] = e.reason
	}
	for i := range candidates {
		c := &candidates[i]
		one := Candidate{Cluster: c.Name, Group: q.groupName(c.at), Out: c.why, Weight: int32(min(c.weight, 1<<31-1)), Min: int32(c.least), Timers: q.waits[c.Name]}
		if one.Out == "" {
			one.Out = reasons[c.Name]
		}
		one.Detail = q.detail(c.Cluster, one.Out)
		if q.divides {
			if c.max < noLimit {
				one.Max = ptr.To(int32(c.max))
			}
			if c.fits < 0 {
				c.fits = q.fits(c)
			}
			if c.fits >= 0 {
				one.Fits = ptr.To(int32(min(c.fits, 1<<31-1)))
			}
			one.Target, one.Gets = ptr.To(int32(c.target)), ptr.To(int32(c.gets))
			if c.has {
				one.Has = ptr.To(int32(c.share))
			}
			if c.copy != nil {
				one.Ready = c.copy.Ready
			}
			if price, known := Hourly(&q.Object, c.Cluster); known {
				one.Price, one.Currency = price, c.Price.Currency
			}
			one.Spot = c.Spot
		}
		if !q.divides {
			one.Holds, one.Given, one.Weight = c.has, c.gets > 0, 0
		}
		list = append(list, one)
		delete(reasons, c.Name)
	}
	for _, e := range excluded {
		if reasons[e.cluster.Name] != "" {
			at, _ := slices.BinarySearchFunc(q.Clusters, e.cluster.Name, func(c Cluster, name string) int { return strings.Compare(c.Name, name) })
			list = append(list, Candidate{Cluster: e.cluster.Name, Group: q.groupName(int32(at)), Out: e.reason,
				Detail: q.detail(e.cluster, e.reason), Timers: q.waits[e.cluster.Name]})
		}
	}
	slices.SortFunc(list, func(a, b Candidate) int { return strings.Compare(a.Cluster, b.Cluster) })
	return list
}

func (q *question) groupName(at int32) string {
	if q.scope == nil || len(q.rule.ClusterGroups) == 0 || q.scope.marks[at].group < 0 {
		return ""
	}
	return q.rule.ClusterGroups[q.scope.marks[at].group].Name
}

// detail says for a person why a cluster takes nothing new.
func (q *question) detail(c *Cluster, reason string) string {
	switch reason {
	case federation.ReasonNotReady:
		return "its condition Ready is not True"
	case federation.ReasonTainted:
		if taint, _ := q.repelled(c, false); taint != nil {
			return fmt.Sprintf("its taint %s is not tolerated", taint.ToString())
		}
	case federation.ReasonAPIMissing:
		return fmt.Sprintf("it does not serve %s", q.Object.Reference.APIVersion)
	case federation.ReasonNotSelected:
		switch {
		case q.gone:
			return "its policy was deleted, and the object is not there"
		case q.v1 != nil:
			return "the annotation's cluster selector does not match it"
		}
		return "neither a cluster group nor a replica rule of the policy selects it"
	case federation.ReasonFull:
		return "no replica fits into what is free there"
	case federation.ReasonSpread:
		return "a spread constraint of the policy keeps it out"
	case federation.ReasonNotNeeded:
		return "clusters that are preferred take everything"
	}
	return ""
}
