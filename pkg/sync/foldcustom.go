package sync

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
)

// FoldCustom makes the .status of a custom object of what members report. Of one member's it is a copy. Of several
// members', conditions are merged by type, numbers of replicas added up, and the rest is what all members agree on. ours
// is the set of fields (FieldsV1, as in metadata.managedFields) of previous that the federation wrote: what members no
// longer tell is taken away of these alone; what someone else wrote beside what members tell stays.
func FoldCustom(generation int64, previous, ours map[string]any, reports []Report) map[string]any {
	told := map[string]any{}
	if len(reports) == 1 {
		told = overlay(nil, reports[0].Status)
		if list := conditionsOf(reports[0].Status); list != nil {
			told["conditions"] = copiedConditions(list, generation, previous, reports[0].Current)
		}
	} else {
		for _, field := range fieldsOf(reports) {
			if value, ok := agreed(field, generation, previous, reports); ok {
				told[field] = value
			}
		}
	}
	// Generations are counted anew in each cluster.
	if slices.Contains(fieldsOf(reports), "observedGeneration") {
		delete(told, "observedGeneration")
		if seen, ok := observed(generation, previous, reports); ok {
			told["observedGeneration"] = seen
		}
	}
	rest, _ := unowned(ours, previous).(map[string]any)
	if list := conditionsOf(told); list != nil {
		told["conditions"] = append(slices.Clone(list), others(ours, rest, previous, told)...)
	}
	return overlay(rest, told)
}

func fieldsOf(reports []Report) []string {
	fields := map[string]bool{}
	for _, r := range reports {
		for field := range r.Status {
			fields[field] = true
		}
	}
	return slices.Sorted(maps.Keys(fields))
}

// summed are the numbers that have a sum.
var summed = map[string]bool{"replicas": true, "readyReplicas": true, "availableReplicas": true, "updatedReplicas": true, "unavailableReplicas": true}

// agreed is what several members together say in a field; ok is false where they contradict each other.
func agreed(field string, generation int64, previous map[string]any, reports []Report) (value any, ok bool) {
	integers, lists, same := true, true, true
	for i, r := range reports {
		v, has := r.Status[field]
		_, integer := v.(int64)
		_, list := v.([]any)
		integers, lists = integers && (integer || !has), lists && (list || !has)
		same = same && has && (i == 0 || equality.Semantic.DeepEqual(v, reports[0].Status[field]))
	}
	switch {
	case field == "conditions" && lists:
		merged := mergedConditions(generation, previous, reports)
		return merged, len(merged) > 0
	case summed[field] && integers:
		return sum(reports, field), true
	case same:
		return reports[0].Status[field], true
	}
	return nil, false
}

func observed(generation int64, previous map[string]any, reports []Report) (int64, bool) {
	if !slices.ContainsFunc(reports, func(r Report) bool { return !r.Current }) {
		return generation, true
	}
	seen, ok := previous["observedGeneration"].(int64)
	return seen, ok
}

func conditionsOf(status map[string]any) []any { list, _ := status["conditions"].([]any); return list }

// copiedConditions are one member's, with the federation's generation for its own.
func copiedConditions(list []any, generation int64, previous map[string]any, current bool) []any {
	out := make([]any, 0, len(list))
	for _, entry := range list {
		c, ok := entry.(map[string]any)
		if _, counted := c["observedGeneration"]; ok && counted {
			entry = withGeneration(maps.Clone(c), generation, condition(previous, text(c, "type")), current)
		}
		out = append(out, entry)
	}
	return out
}

func withGeneration(c map[string]any, generation int64, old map[string]any, current bool) map[string]any {
	seen, known := old["observedGeneration"]
	switch {
	case current:
		c["observedGeneration"] = generation
	case known:
		c["observedGeneration"] = seen
	default:
		delete(c, "observedGeneration")
	}
	return c
}

// mergedConditions are all members' conditions by type, in the order in which they are first met.
func mergedConditions(generation int64, previous map[string]any, reports []Report) (out []any) {
	seen := map[string]bool{}
	for _, r := range reports {
		for _, entry := range conditionsOf(r.Status) {
			c, _ := entry.(map[string]any)
			if t := text(c, "type"); t != "" && !seen[t] {
				seen[t] = true
				out = append(out, mergedCondition(t, generation, condition(previous, t), reports))
			}
		}
	}
	return out
}

// mergedCondition is True where it is so in every member and False where it is so in one, with the members named; else
// Unknown.
func mergedCondition(t string, generation int64, old map[string]any, reports []Report) map[string]any {
	status := "True"
	for _, r := range reports {
		switch text(condition(r.Status, t), "status") {
		case "True":
		case "False":
			status = "False"
		default:
			if status != "False" {
				status = "Unknown"
			}
		}
	}
	out := map[string]any{"type": t, "status": status}
	has := map[string]bool{}
	current := true
	groups := newSaying()
	for _, r := range reports {
		c := condition(r.Status, t)
		for field := range c {
			has[field] = true
		}
		current = current && r.Current
		decides := status == text(c, "status") || status == "Unknown" && text(c, "status") != "True"
		if !decides {
			continue
		}
		groups.add(r.Cluster, cmp.Or(text(c, "message"), text(c, "reason"), "does not say"))
		if reason := text(c, "reason"); reason != "" && out["reason"] == nil {
			out["reason"] = reason
		}
		if at := text(c, "lastTransitionTime"); at > text(out, "lastTransitionTime") {
			out["lastTransitionTime"] = at
		}
	}
	if has["reason"] && out["reason"] == nil {
		out["reason"] = status // no member that decides gave one
	}
	if has["message"] {
		out["message"] = groups.text(status != "True")
	}
	if has["lastTransitionTime"] && text(old, "status") == status && text(old, "lastTransitionTime") != "" {
		out["lastTransitionTime"] = old["lastTransitionTime"] // not a transition
	} else if has["lastTransitionTime"] && out["lastTransitionTime"] == nil {
		out["lastTransitionTime"] = latestTransition(t, reports)
	}
	if has["observedGeneration"] {
		out = withGeneration(out, generation, old, current)
	}
	return out
}

func latestTransition(t string, reports []Report) (at string) {
	for _, r := range reports {
		at = max(at, text(condition(r.Status, t), "lastTransitionTime"))
	}
	return at
}

// saying gathers which clusters say what.
type saying struct {
	texts    []string
	clusters map[string][]string
}

func newSaying() *saying { return &saying{clusters: map[string][]string{}} }

func (s *saying) add(cluster, words string) {
	if s.clusters[words] == nil {
		s.texts = append(s.texts, words)
	}
	s.clusters[words] = append(s.clusters[words], cluster)
}

// text names the clusters unless all say the same and naming is not asked for.
func (s *saying) text(name bool) string {
	if !name && len(s.texts) == 1 {
		return s.texts[0]
	}
	const most = 3
	var parts []string
	for i, words := range s.texts {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(s.texts)-most))
			break
		}
		noun := "cluster"
		if len(s.clusters[words]) > 1 {
			noun = "clusters"
		}
		parts = append(parts, fmt.Sprintf("%s %s: %s", noun, strings.Join(s.clusters[words], ", "), words))
	}
	return strings.Join(parts, "; ")
}
