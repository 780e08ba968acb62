package cluster

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Answer is the outcome of one probe.
type Answer int

// Answers.
const (
	AnswerOK            Answer = iota
	AnswerNotReady             // it answers, but not with "ok"
	AnswerNone                 // no answer: refused, timed out, TLS failed
	AnswerUnauthorized         // 401
	AnswerForbidden            // 403
	AnswerWrongCluster         // another cluster's identity
	AnswerSecretInvalid        // the Secret holds nothing to ask with
)

// failuresToFlip is how many probes in a row must fail before a cluster that was ready is said not to be: one lost
// packet or one slow answer is no event. What a member says clearly (401, 403, another identity) counts at once.
const failuresToFlip = 2

// Facts are what one probe found, with what the user says. A nil APIGroups, Nodes, Free or TokenExpires, or an empty
// Version, is unknown and leaves what was known before.
type Facts struct {
	Spec       federation.ClusterSpec
	Generation int64

	Answer   Answer
	Message  string // why, for answers other than AnswerOK
	Failures int    // probes in a row without AnswerOK, this one counted
	Drill    string // the drill that treats the member as failed, empty for none

	Version   string
	APIGroups []string
	Nodes     *NodeFacts
	// Free is what is free on the nodes, empty where the member does not tell.
	Free         []federation.FreeNodes
	TokenExpires *time.Time
}

// says is what an answer is as evidence. Who answers with another identity answers in the member's stead: the member is no
// more silent than alive.
var says = map[Answer]string{
	AnswerOK: federation.SaysAlive, AnswerNotReady: federation.SaysImpaired, AnswerNone: federation.SaysDead, AnswerUnauthorized: federation.SaysImpaired,
	AnswerForbidden: federation.SaysImpaired, AnswerWrongCluster: federation.SaysUnknown, AnswerSecretInvalid: federation.SaysUnknown,
}

// meaning is what an answer means for the conditions.
type meaning struct {
	ready   metav1.ConditionStatus
	reason  string // of Ready
	offline metav1.ConditionStatus
}

var meanings = map[Answer]meaning{
	AnswerOK:           {metav1.ConditionTrue, federation.ReasonClusterReady, metav1.ConditionFalse},
	AnswerNotReady:     {metav1.ConditionFalse, federation.ReasonClusterNotReady, metav1.ConditionFalse},
	AnswerNone:         {metav1.ConditionFalse, federation.ReasonClusterNotReachable, metav1.ConditionTrue},
	AnswerUnauthorized: {metav1.ConditionFalse, federation.ReasonUnauthorized, metav1.ConditionFalse},
	AnswerForbidden:    {metav1.ConditionFalse, federation.ReasonForbidden, metav1.ConditionFalse},
	AnswerWrongCluster: {metav1.ConditionFalse, federation.ReasonWrongCluster, metav1.ConditionFalse},
	// Nobody was asked.
	AnswerSecretInvalid: {metav1.ConditionFalse, federation.ReasonSecretInvalid, metav1.ConditionUnknown},
}

// Status says what a Cluster's status becomes by the facts of one probe. It changes nothing but for a reason: equal
// facts give an equal status, so that an idle federation writes nothing.
func Status(facts Facts, old federation.ClusterStatus, now time.Time) federation.ClusterStatus {
	status := *old.DeepCopy()
	if !lost(facts, old) {
		setConditions(&status, facts, now)
	}
	place(&status, facts)
	if facts.TokenExpires != nil {
		t := metav1.NewTime(facts.TokenExpires.Truncate(time.Second))
		if !t.Equal(status.TokenExpires) {
			status.TokenExpires = &t
		}
	}
	if facts.Answer != AnswerOK {
		return status // what was known of a cluster stays known while it is offline
	}
	if facts.Version != "" {
		status.Version = facts.Version
	}
	if facts.APIGroups != nil {
		status.APIGroups = slices.Clone(facts.APIGroups)
	}
	if facts.Free != nil {
		status.Free = slices.Clone(facts.Free)
	}
	if n := facts.Nodes; n != nil {
		status.Nodes, status.Capacity, status.Allocatable = n.Count, n.Capacity.DeepCopy(), n.Allocatable.DeepCopy()
		status.Machines = slices.Clone(n.Machines)
	}
	return status
}

// lost says whether a failure is still a single lost probe.
func lost(facts Facts, old federation.ClusterStatus) bool {
	soft := facts.Answer == AnswerNone || facts.Answer == AnswerNotReady
	return soft && facts.Failures < failuresToFlip && len(old.Conditions) > 0
}

// place fills in provider, region and zones: the user's word first, then what nodes say.
func place(status *federation.ClusterStatus, facts Facts) {
	if n := facts.Nodes; n != nil && facts.Answer == AnswerOK {
		status.Provider, status.Region, status.Zones = n.Provider, n.Region, slices.Clone(n.Zones)
	}
	if facts.Spec.Provider != "" {
		status.Provider = facts.Spec.Provider
	}
	if facts.Spec.Region != "" {
		status.Region = facts.Spec.Region
	}
	if len(facts.Spec.Zones) > 0 {
		status.Zones = slices.Sorted(slices.Values(facts.Spec.Zones))
	}
}

func setConditions(status *federation.ClusterStatus, facts Facts, now time.Time) {
	v := meanings[facts.Answer]
	offlineReason, offlineMessage := federation.ReasonClusterReachable, "the API server answers"
	switch v.offline {
	case metav1.ConditionTrue:
		offlineReason, offlineMessage = federation.ReasonClusterNotReachable, facts.Message
	case metav1.ConditionUnknown:
		offlineReason, offlineMessage = v.reason, facts.Message
	}
	readyMessage := facts.Message
	if facts.Answer == AnswerOK {
		readyMessage = "the API server is ready and accepts the federation's token"
	}
	if facts.Drill != "" {
		v.ready, v.reason = metav1.ConditionFalse, federation.ReasonDrill
		readyMessage = fmt.Sprintf("drill %s treats the cluster as failed; nothing in it is touched", facts.Drill)
	}
	for _, c := range []metav1.Condition{
		{Type: federation.ClusterReady, Status: v.ready, Reason: v.reason, Message: readyMessage},
		{Type: federation.ClusterOffline, Status: v.offline, Reason: offlineReason, Message: offlineMessage},
	} {
		old := meta.FindStatusCondition(status.Conditions, c.Type)
		if old != nil && old.Reason == c.Reason && wavers(c.Reason) {
			c.Message = old.Message
		}
		c.ObservedGeneration, c.LastTransitionTime = facts.Generation, metav1.NewTime(now.Truncate(time.Second))
		meta.SetStatusCondition(&status.Conditions, c)
	}
}

// wavers says whether messages of a reason differ from probe to probe without meaning (refused, then timed out): the
// first one stays.
func wavers(reason string) bool {
	return reason == federation.ReasonClusterNotReachable || reason == federation.ReasonClusterNotReady
}

// rejoin is the advice where only the user's own credentials help.
func rejoin(name string) string { return fmt.Sprintf("run `kubefed join %s` again", name) }
