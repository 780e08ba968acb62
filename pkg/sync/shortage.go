package sync

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kubefed.dev/kubefed/pkg/kind"
)

// shortage is a workload's time with fewer ready pods than it is to have. Members' pods are not watched: only while a
// shortage lasts are the workload's own looked at, and then rarely.
type shortage struct {
	since         time.Time
	generation    int64     // of the copy
	looked        time.Time // zero: not yet at this generation
	unschedulable *int32    // nil: none, or not known
}

// due says whether the pods of a shortage are to be looked at: once it has lasted for a time, and as often again.
func (s shortage) due(now time.Time, after time.Duration) bool {
	return now.Sub(s.since) >= after && now.Sub(s.looked) >= after
}

// short says whether a copy has pods that are not ready, and fewer that are than it is to have.
func short(gk schema.GroupKind, c *Copy) bool {
	if gk == jobs {
		return !finished(c.Status) && number(c.Status, "active") > number(c.Status, "ready")
	}
	ready := number(c.Status, "readyReplicas")
	return kind.RuleOf(gk).Replicas != nil && ready < c.Replicas && ready < number(c.Status, "replicas")
}

// noteShortage keeps account of a copy's shortage; now is nil where the copy is gone. m.mu is held.
func (m *member) noteShortage(key Key, now *Copy, at time.Time) {
	if now == nil || !short(key.GroupKind, now) {
		delete(m.shortages, key)
		return
	}
	s, had := m.shortages[key]
	if !had {
		s.since = at
	}
	if !had || s.generation != now.Generation {
		s.generation, s.looked, s.unschedulable = now.Generation, time.Time{}, nil
	}
	m.shortages[key] = s
}

// followShortages looks at the pods of workloads that stay short, one after the other, until the member's context ends.
func (m *member) followShortages(after time.Duration) {
	tick := time.NewTicker(max(after/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
		}
		for _, key := range m.dueShortages(time.Now(), after) {
			if m.offline.Load() {
				break
			}
			if err := m.look(key, after); err != nil && m.ctx.Err() == nil {
				m.view.log.V(1).Info("pods not looked at", "cluster", m.Name, "kind", key.Kind, "namespace", key.Namespace, "name", key.Name, "cause", err.Error())
			}
		}
	}
}

// dueShortages are those to be looked at now; they are taken as looked at.
func (m *member) dueShortages(now time.Time, after time.Duration) (keys []Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, s := range m.shortages {
		if s.due(now, after) {
			s.looked = now
			m.shortages[key] = s
			keys = append(keys, key)
		}
	}
	return keys
}

var podResource = corev1.SchemeGroupVersion.WithResource("pods")

// look counts the pods of a workload that find no node, and tells of it if their number is new.
func (m *member) look(key Key, after time.Duration) error {
	ctx, cancel := context.WithTimeout(m.ctx, requestDeadline)
	defer cancel()
	in, err := m.view.read(ctx, key, m.Name)
	held := m.see(key).copy
	if err != nil || held == nil || in.object == nil {
		return err
	}
	selector, err := podSelector(key.GroupKind, in.object, held)
	if err != nil {
		return fmt.Errorf("reading the selector: %w", err)
	}
	// From the member's watch cache, and no pods but those without a node.
	pods, err := m.Dynamic.Resource(podResource).Namespace(key.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: selector.String(), FieldSelector: "spec.nodeName=,status.phase=Pending", ResourceVersion: "0", Limit: 500,
	})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	m.found(key, held.Generation, unschedulable(pods.Items, time.Now(), after))
	return nil
}

// found records what a look at the pods of one generation of a copy found.
func (m *member) found(key Key, generation int64, n int32) {
	var count *int32
	if n > 0 {
		count = &n
	}
	m.mu.Lock()
	s, still := m.shortages[key]
	still = still && s.generation == generation
	changed := still && (s.unschedulable == nil) != (count == nil) || still && count != nil && *s.unschedulable != *count
	if changed {
		s.unschedulable = count
		m.shortages[key] = s
	}
	m.mu.Unlock()
	if changed {
		m.told(key)
	}
}

// podSelector selects a workload's pods in the member: by the selector that was applied there, and by the member's own
// for a Job, which has one that no other Job's pods meet.
func podSelector(gk schema.GroupKind, obj *unstructured.Unstructured, held *Copy) (labels.Selector, error) {
	if manual, _, _ := unstructured.NestedBool(obj.Object, "spec", "manualSelector"); gk == jobs && !manual {
		return labels.SelectorFromSet(labels.Set{"batch.kubernetes.io/controller-uid": string(held.UID)}), nil
	}
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(nested(obj.Object, "spec", "selector"), &s); err != nil {
		return nil, err
	}
	return metav1.LabelSelectorAsSelector(&s)
}

// unschedulable counts the pods for which the scheduler says that there is no node, once it has said so of one of them
// for some time: pods made a moment after that one wait for the same. The time is by the member's clock.
func unschedulable(pods []unstructured.Unstructured, now time.Time, after time.Duration) (n int32) {
	long := false
	for i := range pods {
		c := condition(nested(pods[i].Object, "status"), string(corev1.PodScheduled))
		since, err := time.Parse(time.RFC3339, text(c, "lastTransitionTime"))
		if err == nil && pods[i].GetDeletionTimestamp() == nil && text(c, "status") == string(corev1.ConditionFalse) &&
			text(c, "reason") == corev1.PodReasonUnschedulable {
			n++
			long = long || now.Sub(since) >= after
		}
	}
	if !long {
		return 0
	}
	return n
}

// unschedulableIn is what a cluster's state says of it.
func unschedulableIn(e evidence) *int32 {
	switch {
	case e.seen.copy != nil:
		return e.seen.unschedulable
	case e.recorded != nil && !e.seen.known:
		return e.recorded.UnschedulableReplicas
	}
	return nil
}
