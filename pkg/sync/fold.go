package sync

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Report is one member's word on an object.
type Report struct {
	Cluster string
	// Current says that the member holds what was last decided and that its controllers have seen it.
	Current bool
	// Status is the copy's .status.
	Status map[string]any
}

// Fold makes a federated object's .status of what members report: reports are of all clusters that the object was placed
// in, sorted by name. previous is the .status as it stands and generation the object's. It returns nil for a kind whose
// status is not folded.
func Fold(gk schema.GroupKind, generation int64, previous map[string]any, reports []Report) map[string]any {
	fold, ok := foldTable[gk]
	if !ok {
		return nil
	}
	return fold(generation, previous, reports)
}

func folds(gk schema.GroupKind) bool { _, ok := foldTable[gk]; return ok }

var jobs = schema.GroupKind{Group: "batch", Kind: "Job"}

type foldFunc func(generation int64, previous map[string]any, reports []Report) map[string]any

// foldTable has a row for each native kind with a status that tools wait for.
var foldTable = map[schema.GroupKind]foldFunc{
	{Group: "apps", Kind: "Deployment"}: sums("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas", "terminatingReplicas").
		observing().conditions("Available", "Progressing", "ReplicaFailure"),
	{Group: "apps", Kind: "ReplicaSet"}:  sums("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas").zero("replicas").observing().conditions("ReplicaFailure"),
	{Group: "apps", Kind: "StatefulSet"}: sums("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas").zero("replicas", "availableReplicas").observing().then(revisions),
	{Group: "apps", Kind: "DaemonSet"}: sums("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable", "numberUnavailable").
		zero("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady").observing(),
	jobs:                              sums("active", "ready", "succeeded", "failed", "terminating").then(jobTimes),
	{Group: "batch", Kind: "CronJob"}: sums().then(latest("lastScheduleTime", "lastSuccessfulTime")),
	{Kind: "Service"}:                 sums().then(ingress),
	{Group: "networking.k8s.io", Kind: "Ingress"}: sums().then(ingress),
	{Kind: "PersistentVolumeClaim"}:               sums().then(claimPhase),
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: sums("currentReplicas", "desiredReplicas").zero("desiredReplicas").
		observing().conditions("AbleToScale", "ScalingActive", "ScalingLimited").then(latest("lastScaleTime")),
	{Group: "policy", Kind: "PodDisruptionBudget"}: sums("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods").
		zero("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods").observing().conditions("DisruptionAllowed"),
}

// sums adds numbers up over clusters; a sum of zero is left out, as Kubernetes does (see zero).
func sums(fields ...string) foldFunc {
	return func(_ int64, _ map[string]any, reports []Report) map[string]any {
		out := map[string]any{}
		for _, field := range fields {
			if n := sum(reports, field); n != 0 {
				out[field] = n
			}
		}
		return out
	}
}

func sum(reports []Report, field string) (n int64) {
	for _, r := range reports {
		n += number(r.Status, field)
	}
	return n
}

func number(status map[string]any, field string) int64 { n, _ := status[field].(int64); return n }

// then lets a further step change the result.
func (f foldFunc) then(step func(out, previous map[string]any, reports []Report)) foldFunc {
	return func(generation int64, previous map[string]any, reports []Report) map[string]any {
		out := f(generation, previous, reports)
		step(out, previous, reports)
		return out
	}
}

// zero writes fields even when they are zero, where the kind's schema says so.
func (f foldFunc) zero(fields ...string) foldFunc {
	return f.then(func(out, _ map[string]any, _ []Report) {
		for _, field := range fields {
			if _, ok := out[field]; !ok {
				out[field] = int64(0)
			}
		}
	})
}

// observing sets observedGeneration: it follows the object's generation only once every cluster holds and has seen it,
// and never goes back.
func (f foldFunc) observing() foldFunc {
	return func(generation int64, previous map[string]any, reports []Report) map[string]any {
		out := f(generation, previous, reports)
		seen := number(previous, "observedGeneration")
		if !slices.ContainsFunc(reports, func(r Report) bool { return !r.Current }) {
			seen = generation
		}
		if seen != 0 {
			out["observedGeneration"] = seen
		}
		return out
	}
}

// conditions folds conditions of the given types: for a good one (positive polarity) False anywhere is False, for a bad
// one True anywhere is True, Unknown anywhere else is Unknown; reason and message are those of the cluster that decided.
func (f foldFunc) conditions(types ...string) foldFunc {
	return f.then(func(out, previous map[string]any, reports []Report) {
		var list []any
		for _, t := range types {
			if c := foldCondition(t, previous, reports); c != nil {
				list = append(list, c)
			}
		}
		if list != nil {
			out["conditions"] = list
		}
	})
}

var negative = map[string]bool{"ReplicaFailure": true, "ScalingLimited": true, "Failed": true, "FailureTarget": true}

func foldCondition(t string, previous map[string]any, reports []Report) map[string]any {
	rank := map[string]int{"True": 1, "Unknown": 2, "False": 3}
	if negative[t] {
		rank = map[string]int{"False": 1, "Unknown": 2, "True": 3}
	}
	var worst map[string]any
	var cluster string
	for _, r := range reports {
		if c := condition(r.Status, t); c != nil && (worst == nil || rank[text(c, "status")] > rank[text(worst, "status")]) {
			worst, cluster = c, r.Cluster
		}
	}
	if worst == nil {
		return nil
	}
	out := map[string]any{"type": t, "status": text(worst, "status")}
	for _, field := range []string{"reason", "message", "lastTransitionTime", "lastUpdateTime"} {
		if v, ok := worst[field]; ok {
			out[field] = v
		}
	}
	if len(reports) > 1 && text(out, "message") != "" && rank[text(worst, "status")] > 1 {
		out["message"] = fmt.Sprintf("cluster %s: %s", cluster, text(out, "message"))
	}
	// What a rolling update says anew at each step is not worth a write here: only a transition is.
	if old := condition(previous, t); old != nil && text(old, "status") == text(out, "status") && text(old, "reason") == text(out, "reason") {
		return old
	}
	return out
}

func condition(status map[string]any, t string) map[string]any {
	list, _ := status["conditions"].([]any)
	for _, c := range list {
		if m, _ := c.(map[string]any); m["type"] == t {
			return m
		}
	}
	return nil
}

func text(m map[string]any, field string) string { s, _ := m[field].(string); return s }

// revisions keeps currentRevision apart from updateRevision until every cluster's rollout is through, which is what
// `kubectl rollout status` waits for.
func revisions(out, _ map[string]any, reports []Report) {
	done := true
	for _, r := range reports {
		current, update := text(r.Status, "currentRevision"), text(r.Status, "updateRevision")
		done = done && r.Current && current == update
		if out["updateRevision"] == nil && update != "" {
			out["updateRevision"], out["currentRevision"] = update, current
		} else if current != update && current != "" {
			out["currentRevision"] = current
		}
	}
	if done && out["updateRevision"] != nil {
		out["currentRevision"] = out["updateRevision"]
	}
	out["collisionCount"] = int64(0)
}

// jobTimes folds a Job's times and ends: it has started with the first cluster, is complete with the last, and has
// failed when one has.
func jobTimes(out, previous map[string]any, reports []Report) {
	for _, r := range reports {
		if start := text(r.Status, "startTime"); start != "" && (out["startTime"] == nil || start < text(out, "startTime")) {
			out["startTime"] = start
		}
	}
	if previous["startTime"] != nil {
		out["startTime"] = previous["startTime"] // immutable once set
	}
	all := func(t string) bool {
		return len(reports) > 0 && !slices.ContainsFunc(reports, func(r Report) bool {
			return !r.Current || text(condition(r.Status, t), "status") != "True"
		})
	}
	var list []any
	add := func(types ...string) {
		for _, t := range types {
			if c := foldCondition(t, previous, reports); c != nil && text(c, "status") == "True" {
				list = append(list, c)
			}
		}
	}
	switch {
	case all("Complete"):
		add("SuccessCriteriaMet", "Complete")
		for _, r := range reports {
			if end := text(r.Status, "completionTime"); end > text(out, "completionTime") {
				out["completionTime"] = end
			}
		}
	case slices.ContainsFunc(reports, func(r Report) bool { return text(condition(r.Status, "Failed"), "status") == "True" }) && sum(reports, "active") == 0:
		add("FailureTarget", "Failed")
	default:
		if foldCondition("Suspended", previous, reports) != nil {
			add("Suspended")
		}
	}
	if list != nil {
		out["conditions"] = list
	}
}

// latest takes the latest of RFC 3339 times in UTC, which compare as text.
func latest(fields ...string) func(out, _ map[string]any, reports []Report) {
	return func(out, _ map[string]any, reports []Report) {
		for _, field := range fields {
			for _, r := range reports {
				if t := text(r.Status, field); t > text(out, field) {
					out[field] = t
				}
			}
		}
	}
}

// ingress lists every cluster's load-balancer addresses once, in the order of clusters.
func ingress(out, _ map[string]any, reports []Report) {
	var all []any
	seen := map[string]bool{}
	for _, r := range reports {
		list, _ := nested(r.Status, "loadBalancer")["ingress"].([]any)
		for _, entry := range list {
			m, _ := entry.(map[string]any)
			if address := cmp.Or(text(m, "ip"), text(m, "hostname")); address != "" && !seen[address] {
				seen[address] = true
				all = append(all, m)
			}
		}
	}
	balancer := map[string]any{}
	if all != nil {
		balancer["ingress"] = all
	}
	out["loadBalancer"] = balancer
}

// claimPhase: bound when bound everywhere, lost when lost anywhere. Capacity and access modes are the first cluster's.
func claimPhase(out, _ map[string]any, reports []Report) {
	phase := "Bound"
	for _, r := range reports {
		switch p := text(r.Status, "phase"); {
		case p == "Lost":
			phase = "Lost"
		case p != "Bound" && phase != "Lost":
			phase = "Pending"
		}
		for _, field := range []string{"accessModes", "capacity"} {
			if v, ok := r.Status[field]; ok && out[field] == nil {
				out[field] = v
			}
		}
	}
	if len(reports) == 0 {
		phase = "Pending"
	}
	out["phase"] = phase
}
