package node

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// gist is what a test wants to know of a status.
type gist struct {
	Phase      v1.PodPhase
	Ready      v1.ConditionStatus
	Containers []string
	Again      time.Duration
}

func gistOf(s v1.PodStatus, again time.Duration) gist {
	g := gist{Phase: s.Phase, Again: again}
	for _, c := range s.Conditions {
		if c.Type == v1.PodReady {
			g.Ready = c.Status
		}
	}
	for _, c := range append(append([]v1.ContainerStatus{}, s.InitContainerStatuses...), s.ContainerStatuses...) {
		switch {
		case c.State.Running != nil:
			g.Containers = append(g.Containers, c.Name+" runs")
		case c.State.Waiting != nil:
			g.Containers = append(g.Containers, c.Name+" "+c.State.Waiting.Reason)
		case c.State.Terminated != nil:
			g.Containers = append(g.Containers, c.Name+" "+c.State.Terminated.Reason)
		}
	}
	return g
}

func TestSimulate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := place{hostIP: "127.0.0.1", podIP: "10.1.1.1"}
	pod := func(policy v1.RestartPolicy, image string, change ...func(*v1.Pod)) *v1.Pod {
		p := &v1.Pod{Spec: v1.PodSpec{RestartPolicy: policy, Containers: []v1.Container{{Name: "c", Image: image}}}}
		for _, c := range change {
			c(p)
		}
		return p
	}
	withInit := func(image string) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.Spec.InitContainers = []v1.Container{
				{Name: "i", Image: image}, {Name: "s", Image: "x", RestartPolicy: ptr.To(v1.ContainerRestartPolicyAlways)}}
		}
	}
	started := func(ago time.Duration) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.Status, _ = simulate(p, at, now.Add(-ago))
		}
	}
	annotated := func(text string) func(*v1.Pod) {
		return func(p *v1.Pod) { p.Annotations = map[string]string{RunForAnnotation: text} }
	}
	deleted := func(finalizers ...string) func(*v1.Pod) {
		return func(p *v1.Pod) { p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: now}, finalizers }
	}
	gate := func(p *v1.Pod) { p.Spec.ReadinessGates = []v1.PodReadinessGate{{ConditionType: "open"}} }
	running := gist{Phase: v1.PodRunning, Ready: v1.ConditionTrue, Containers: []string{"c runs"}}
	succeeded := gist{Phase: v1.PodSucceeded, Ready: v1.ConditionFalse, Containers: []string{"c Completed"}}
	for _, tc := range []struct {
		name string
		pod  *v1.Pod
		want gist
	}{
		{"new", pod(v1.RestartPolicyAlways, "nginx"), running},
		{"old", pod(v1.RestartPolicyAlways, "nginx", started(time.Hour)), running},
		{"image missing", pod(v1.RestartPolicyAlways, "nginx:missing"), gist{v1.PodPending, v1.ConditionFalse, []string{"c ImagePullBackOff"}, 0}},
		{"image missing by tag", pod(v1.RestartPolicyAlways, "r:5/nginx:v2-does-not-exist"), gist{v1.PodPending, v1.ConditionFalse, []string{"c ImagePullBackOff"}, 0}},
		{"image becomes good", pod(v1.RestartPolicyAlways, "nginx:missing", started(time.Hour), func(p *v1.Pod) { p.Spec.Containers[0].Image = "nginx" }), running},
		{"init containers", pod(v1.RestartPolicyAlways, "nginx", withInit("x")), gist{v1.PodRunning, v1.ConditionTrue, []string{"i Completed", "s runs", "c runs"}, 0}},
		{"init image missing", pod(v1.RestartPolicyAlways, "nginx", withInit("x:missing")), gist{v1.PodPending, v1.ConditionFalse, []string{"i ImagePullBackOff", "s PodInitializing", "c PodInitializing"}, 0}},
		{"closed readiness gate", pod(v1.RestartPolicyAlways, "nginx", gate), gist{v1.PodRunning, v1.ConditionFalse, []string{"c runs"}, 0}},
		{"job begins", pod(v1.RestartPolicyNever, "x"), gist{v1.PodRunning, v1.ConditionTrue, []string{"c runs"}, time.Second}},
		{"job ends", pod(v1.RestartPolicyOnFailure, "x", started(time.Second)), succeeded},
		{"long job", pod(v1.RestartPolicyNever, "x", annotated("1m"), started(time.Second)), gist{v1.PodRunning, v1.ConditionTrue, []string{"c runs"}, 59 * time.Second}},
		{"endless job", pod(v1.RestartPolicyNever, "x", annotated("forever"), started(time.Hour)), running},
		{"deleted", pod(v1.RestartPolicyAlways, "x", started(time.Hour), deleted()), running},
		{"deleted but kept by a finalizer", pod(v1.RestartPolicyNever, "x", annotated("1h"), started(time.Second), deleted("f")), gist{v1.PodFailed, v1.ConditionFalse, []string{"c Error"}, 0}},
		{"ended", pod(v1.RestartPolicyNever, "x", started(3*time.Second), started(time.Second)), succeeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, again := simulate(tc.pod, at, now)
			if diff := cmp.Diff(tc.want, gistOf(status, again)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			settled := tc.pod.DeepCopy()
			settled.Status = status
			if again, _ := simulate(settled, at, now); !cmp.Equal(status, again) {
				t.Errorf("a second look changes the status:\n%s", cmp.Diff(status, again))
			}
		})
	}
}

func TestNextBackOff(t *testing.T) {
	var got []time.Duration
	var wait, next time.Duration
	for range 9 {
		wait, next = nextBackOff(next, time.Second)
		got = append(got, wait/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60}, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
	if wait, _ := nextBackOff(next, time.Hour); wait != 0 {
		t.Errorf("after an hour's run: %v, want none", wait)
	}
}

func TestAdopt(t *testing.T) {
	state := func(s v1.ContainerState) []v1.ContainerStatus {
		return []v1.ContainerStatus{{Name: "c", Image: "x", State: s, RestartCount: 2, Ready: true}}
	}
	runs := state(v1.ContainerState{Running: &v1.ContainerStateRunning{}})
	ended := state(v1.ContainerState{Terminated: &v1.ContainerStateTerminated{Reason: "Completed"}})
	for _, tc := range []struct {
		name     string
		policy   v1.RestartPolicy
		before   []v1.ContainerStatus
		want     string
		restarts int32
	}{
		{"new", v1.RestartPolicyAlways, nil, "c ContainerCreating", 0},
		{"running is started again", v1.RestartPolicyAlways, runs, "c ContainerCreating", 3},
		{"running was killed for good", v1.RestartPolicyNever, runs, "c Error", 2},
		{"ended stays", v1.RestartPolicyOnFailure, ended, "c Completed", 2},
		{"back-off goes on", v1.RestartPolicyAlways, state(waiting("CrashLoopBackOff", "")), "c ContainerCreating", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pod := &v1.Pod{Spec: v1.PodSpec{RestartPolicy: tc.policy, Containers: []v1.Container{{Name: "c", Image: "x"}}}, Status: v1.PodStatus{ContainerStatuses: tc.before}}
			_, main := adopt(pod)
			got := gistOf(v1.PodStatus{ContainerStatuses: main}, 0).Containers
			if diff := cmp.Diff([]string{tc.want}, got); diff != "" || main[0].RestartCount != tc.restarts {
				t.Errorf("restarts %d, want %d; state (-want +got):\n%s", main[0].RestartCount, tc.restarts, diff)
			}
		})
	}
}

func TestNodeObject(t *testing.T) {
	for _, tc := range []struct {
		provider, wantID, wantZone string
		zones                      []string
	}{
		{"aws", "aws:///us-east-1b/i-0", "us-east-1b", []string{"us-east-1a", "us-east-1b"}},
		{"gcp", "gce://local-c/europe-west1-b/c-node-2", "europe-west1-b", []string{"europe-west1-b"}},
		{"on-premises", "", "", nil},
	} {
		t.Run(tc.provider, func(t *testing.T) {
			n := nodeObject(Config{Cluster: "c", Provider: tc.provider, Region: "r", Zones: tc.zones}, 1)
			id := n.Spec.ProviderID
			if tc.provider == "aws" && len(id) > len(tc.wantID) {
				id = id[:len(tc.wantID)]
			}
			got := [3]string{id, n.Labels[v1.LabelTopologyZone], n.Labels[v1.LabelTopologyRegion]}
			if diff := cmp.Diff([3]string{tc.wantID, tc.wantZone, "r"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
