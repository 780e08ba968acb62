package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func copyWith(t *testing.T, replicas int64, status string) *Copy {
	c := &Copy{Replicas: replicas, Status: object(t, "{kind: X, status: "+status+"}").Object["status"].(map[string]any)}
	c.Generation, c.UID = 1, "c1"
	return c
}

func TestShort(t *testing.T) {
	for _, test := range []struct {
		name   string
		gk     schema.GroupKind
		spec   int64
		status string
		want   bool
	}{
		{"all ready", deployments, 3, `{replicas: 3, readyReplicas: 3}`, false},
		{"one is not", deployments, 3, `{replicas: 3, readyReplicas: 2}`, true},
		{"the pods can't even be made", deployments, 3, `{replicas: 2, readyReplicas: 2}`, false},
		{"one more than asked for, on its way", deployments, 3, `{replicas: 4, readyReplicas: 3}`, false},
		{"a Job's pod is pending", jobs, 2, `{active: 2, ready: 1}`, true},
		{"a Job runs", jobs, 2, `{active: 2, ready: 2}`, false},
		{"a Job has ended", jobs, 2, `{active: 1, conditions: [{type: Failed, status: "True"}]}`, false},
		{"a kind whose replicas are not divided", schema.GroupKind{Group: "apps", Kind: "DaemonSet"}, 0, `{replicas: 1}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := short(test.gk, copyWith(t, test.spec, test.status)); got != test.want {
				t.Errorf("short: %v, want %v", got, test.want)
			}
		})
	}
}

// TestShortages: pods are looked at when a shortage has lasted, and again as often; what was found goes with the shortage
// and with the generation that it is about.
func TestShortages(t *testing.T) {
	key := Key{GroupKind: deployments, Namespace: "n", Name: "web"}
	told := 0
	m := &member{shortages: map[Key]shortage{}, outcomes: map[Key]outcome{}, told: func(Key) { told++ }}
	start := time.Unix(1000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	less := copyWith(t, 3, `{replicas: 3, readyReplicas: 1}`)
	due := func(seconds int) bool { return len(m.dueShortages(at(seconds), time.Minute)) > 0 }
	check := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}

	m.noteShortage(key, less, at(0))
	m.noteShortage(key, less, at(30))
	check("due before its time", due(59), false)
	check("due", due(60), true)
	check("due at once again", due(61), false)
	m.found(key, 1, 2)
	check("found", m.see(key).unschedulable, int32p(2))
	m.found(key, 1, 2)
	check("told", told, 1)
	check("due again", due(120), true)

	changed := copyWith(t, 2, `{replicas: 2, readyReplicas: 1}`)
	changed.Generation = 2
	m.found(key, 2, 1)
	check("found of a generation not seen yet", m.see(key).unschedulable, int32p(2))
	m.noteShortage(key, changed, at(121))
	check("found of a generation that is over", m.see(key).unschedulable, (*int32)(nil))
	check("due at a new generation", due(122), true)

	m.noteShortage(key, copyWith(t, 2, `{replicas: 2, readyReplicas: 2}`), at(130))
	check("due without a shortage", due(500), false)
	check("kept in mind", len(m.shortages), 0)
	m.found(key, 2, 1)
	check("told of what is over", told, 1)
}

func TestUnschedulable(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 2, 0, 0, time.UTC)
	pod := func(text string) unstructured.Unstructured { return *object(t, text) }
	pods := []unstructured.Unstructured{
		pod(`{kind: Pod, status: {conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, lastTransitionTime: "2026-01-01T00:00:30Z"}]}}`),
		pod(`{kind: Pod, status: {conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, lastTransitionTime: "2026-01-01T00:01:30Z"}]}}`),
		pod(`{kind: Pod, status: {conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated, lastTransitionTime: "2026-01-01T00:00:00Z"}]}}`),
		pod(`{kind: Pod, status: {conditions: [{type: PodScheduled, status: "True", lastTransitionTime: "2026-01-01T00:00:00Z"}]}}`),
		pod(`{kind: Pod, metadata: {deletionTimestamp: "2026-01-01T00:01:00Z"}, status: {conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, lastTransitionTime: "2026-01-01T00:00:00Z"}]}}`),
		pod(`{kind: Pod, status: {}}`),
	}
	if n := unschedulable(pods, now, time.Minute); n != 2 {
		t.Errorf("%d pods are unschedulable, want the first two", n)
	}
	if n := unschedulable(pods[1:], now, time.Minute); n != 0 {
		t.Errorf("%d pods are unschedulable, want none before one has been for a minute", n)
	}
}

func TestPodSelector(t *testing.T) {
	for _, test := range []struct {
		name, object, want string
		gk                 schema.GroupKind
	}{
		{"a Deployment's", `{kind: X, spec: {selector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [a]}]}}}`, "app=web,tier in (a)", deployments},
		{"a Job's is the member's", `{kind: X, spec: {selector: {matchLabels: {batch.kubernetes.io/controller-uid: other}}}}`, "batch.kubernetes.io/controller-uid=c1", jobs},
		{"a Job's own", `{kind: X, spec: {manualSelector: true, selector: {matchLabels: {app: sums}}}}`, "app=sums", jobs},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := podSelector(test.gk, object(t, test.object), copyWith(t, 1, `{}`))
			if err != nil || got.String() != test.want {
				t.Errorf("%v, %v; want %s", got, err, test.want)
			}
		})
	}
}
