package sync

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/events"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Reasons of events on federated objects.
const (
	ReasonDriftCorrected = "DriftCorrected"
	ReasonAdopted        = "Adopted"
)

func driftCorrected(r events.EventRecorder, obj *unstructured.Unstructured, cluster string) {
	r.Eventf(obj, nil, corev1.EventTypeWarning, ReasonDriftCorrected, "Apply", "cluster %s: someone changed fields that the federation owns; they are as federated again", cluster)
}

func adopted(r events.EventRecorder, obj *unstructured.Unstructured, cluster, how string) {
	r.Eventf(obj, nil, corev1.EventTypeNormal, ReasonAdopted, "Apply", "cluster %s: took over the object that was there (%s=%s)", cluster, federation.AnnotationOnConflict, how)
}

// stuck tells of an object that came to a state which needs someone.
func stuck(r events.EventRecorder, obj *unstructured.Unstructured, cluster string, o outcome) {
	switch o.State {
	case federation.StateConflict, federation.StateForbidden, federation.StateRejected, federation.StateUnsupported, federation.StateNotRendered:
		r.Eventf(obj, nil, corev1.EventTypeWarning, o.State, "Apply", "cluster %s: %s", cluster, o.Message)
	}
}
