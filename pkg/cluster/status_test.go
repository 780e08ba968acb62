package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func nodeFacts() *NodeFacts {
	return &NodeFacts{
		Count: federation.NodeCount{Total: 3, Ready: 2}, Zones: []string{"a", "b"}, Region: "r", Provider: "aws",
		Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")},
	}
}

func reasons(status federation.ClusterStatus) map[string]string {
	out := map[string]string{}
	for _, c := range status.Conditions {
		out[c.Type] = string(c.Status) + " " + c.Reason
	}
	return out
}

func TestStatusConditions(t *testing.T) {
	ready := Status(Facts{Answer: AnswerOK}, federation.ClusterStatus{}, start)
	tests := map[string]struct {
		old   federation.ClusterStatus
		facts Facts
		want  map[string]string
	}{
		"ready":                                {facts: Facts{Answer: AnswerOK}, want: map[string]string{"Ready": "True ClusterReady", "Offline": "False ClusterReachable"}},
		"one lost probe changes nothing":       {old: ready, facts: Facts{Answer: AnswerNone, Failures: 1}, want: reasons(ready)},
		"one bad answer changes nothing":       {old: ready, facts: Facts{Answer: AnswerNotReady, Failures: 1}, want: reasons(ready)},
		"two lost probes":                      {old: ready, facts: Facts{Answer: AnswerNone, Failures: 2}, want: map[string]string{"Ready": "False ClusterNotReachable", "Offline": "True ClusterNotReachable"}},
		"two bad answers":                      {old: ready, facts: Facts{Answer: AnswerNotReady, Failures: 2}, want: map[string]string{"Ready": "False ClusterNotReady", "Offline": "False ClusterReachable"}},
		"never seen counts at once":            {facts: Facts{Answer: AnswerNone, Failures: 1}, want: map[string]string{"Ready": "False ClusterNotReachable", "Offline": "True ClusterNotReachable"}},
		"a refused token counts at once":       {old: ready, facts: Facts{Answer: AnswerUnauthorized, Failures: 1}, want: map[string]string{"Ready": "False Unauthorized", "Offline": "False ClusterReachable"}},
		"a missing right counts at once":       {old: ready, facts: Facts{Answer: AnswerForbidden, Failures: 1}, want: map[string]string{"Ready": "False Forbidden", "Offline": "False ClusterReachable"}},
		"another cluster counts at once":       {old: ready, facts: Facts{Answer: AnswerWrongCluster, Failures: 1}, want: map[string]string{"Ready": "False WrongCluster", "Offline": "False ClusterReachable"}},
		"without a Secret nobody can be asked": {old: ready, facts: Facts{Answer: AnswerSecretInvalid, Failures: 1}, want: map[string]string{"Ready": "False SecretInvalid", "Offline": "Unknown SecretInvalid"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Status(tt.facts, tt.old, start.Add(time.Minute))
			if diff := cmp.Diff(tt.want, reasons(got)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusKeepsFactsOfOfflineCluster(t *testing.T) {
	expires := start.Add(time.Hour)
	ready := Status(Facts{Answer: AnswerOK, Version: "v1.36.3", APIGroups: []string{"apps/v1", "v1"}, Nodes: nodeFacts(), TokenExpires: &expires},
		federation.ClusterStatus{}, start)
	if ready.Version != "v1.36.3" || ready.Nodes.Ready != 2 || ready.Region != "r" || !ready.TokenExpires.Time.Equal(expires) {
		t.Fatalf("facts are not in the status: %+v", ready)
	}
	offline := Status(Facts{Answer: AnswerNone, Failures: 7, Message: "refused"}, ready, start.Add(time.Minute))
	offline.Conditions = ready.Conditions
	if diff := cmp.Diff(ready, offline); diff != "" {
		t.Errorf("facts changed (-ready +offline):\n%s", diff)
	}
}

func TestStatusSaysWhatTheUserSays(t *testing.T) {
	spec := federation.ClusterSpec{Provider: "on-premises", Region: "shire", Zones: []string{"tuckborough", "hobbiton"}}
	for name, facts := range map[string]Facts{
		"over what nodes say":    {Answer: AnswerOK, Spec: spec, Nodes: nodeFacts()},
		"while offline":          {Answer: AnswerNone, Failures: 2, Spec: spec},
		"before nodes are known": {Answer: AnswerOK, Spec: spec},
	} {
		t.Run(name, func(t *testing.T) {
			got := Status(facts, federation.ClusterStatus{}, start)
			if got.Provider != "on-premises" || got.Region != "shire" || !cmp.Equal(got.Zones, []string{"hobbiton", "tuckborough"}) {
				t.Errorf("got %s, %s, %v", got.Provider, got.Region, got.Zones)
			}
		})
	}
}

func TestStatusKeepsFirstMessageOfOneOutage(t *testing.T) {
	first := Status(Facts{Answer: AnswerNone, Failures: 2, Message: "refused"}, federation.ClusterStatus{}, start)
	second := Status(Facts{Answer: AnswerNone, Failures: 3, Message: "timed out"}, first, start.Add(time.Second))
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("an outage that goes on changed the status:\n%s", diff)
	}
}

// TestStatusSettles: whatever came before, a probe that finds the same again changes nothing, so nothing is written.
func TestStatusSettles(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var status federation.ClusterStatus
		var facts Facts
		at := start
		for range rapid.IntRange(1, 8).Draw(rt, "probes") {
			facts = drawFacts(rt)
			at = at.Add(3 * time.Second)
			status = Status(facts, status, at)
		}
		again := Status(facts, status, at.Add(3*time.Second))
		if diff := cmp.Diff(status, again); diff != "" {
			rt.Fatalf("the same facts changed the status:\n%s", diff)
		}
	})
}

// TestStatusNeverReadyAndOffline: the two conditions never contradict one another, and facts are never emptied.
func TestStatusNeverReadyAndOffline(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var status federation.ClusterStatus
		for range rapid.IntRange(1, 12).Draw(rt, "probes") {
			before := status
			status = Status(drawFacts(rt), status, start)
			if meta.IsStatusConditionTrue(status.Conditions, federation.ClusterReady) && !meta.IsStatusConditionFalse(status.Conditions, federation.ClusterOffline) {
				rt.Fatalf("ready and not reachable: %v", reasons(status))
			}
			if before.Version != "" && status.Version == "" || before.APIGroups != nil && status.APIGroups == nil || before.Nodes.Total > 0 && status.Nodes.Total == 0 {
				rt.Fatalf("facts were emptied: before %+v, after %+v", before, status)
			}
		}
	})
}

func drawFacts(rt *rapid.T) Facts {
	facts := Facts{
		Answer:   rapid.SampledFrom([]Answer{AnswerOK, AnswerNotReady, AnswerNone, AnswerUnauthorized, AnswerForbidden, AnswerWrongCluster, AnswerSecretInvalid}).Draw(rt, "answer"),
		Message:  rapid.SampledFrom([]string{"refused", "timed out", "reset"}).Draw(rt, "message"),
		Failures: rapid.IntRange(1, 3).Draw(rt, "failures"),
		Version:  rapid.SampledFrom([]string{"", "v1.36.3", "v1.35.0"}).Draw(rt, "version"),
	}
	if rapid.Bool().Draw(rt, "groups known") {
		facts.APIGroups = []string{"v1"}
	}
	if rapid.Bool().Draw(rt, "nodes known") {
		facts.Nodes = nodeFacts()
	}
	return facts
}
