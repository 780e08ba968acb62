package cluster

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Event is one entry for the events of a Cluster.
type Event struct{ Type, Reason, Action, Note string }

// transitions are the events of a change of status: one where Ready took another value or reason, else none.
func transitions(old, updated federation.ClusterStatus) []Event {
	before := meta.FindStatusCondition(old.Conditions, federation.ClusterReady)
	after := meta.FindStatusCondition(updated.Conditions, federation.ClusterReady)
	if after == nil || before != nil && before.Reason == after.Reason {
		return nil
	}
	kind := corev1.EventTypeWarning
	if after.Reason == federation.ReasonClusterReady {
		kind = corev1.EventTypeNormal
	}
	return []Event{{Type: kind, Reason: after.Reason, Action: "Probe", Note: after.Message}}
}

func tokenRenewed() Event {
	return Event{Type: corev1.EventTypeNormal, Reason: "TokenRenewed", Action: "RenewToken", Note: "the member issued a new token"}
}

func tokenNotRenewed(err error) Event {
	return Event{Type: corev1.EventTypeWarning, Reason: "TokenNotRenewed", Action: "RenewToken", Note: err.Error()}
}
