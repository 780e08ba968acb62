package publish

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// turned tells on the object itself that its names came to another state.
func turned(r events.EventRecorder, obj runtime.Object, before, after *metav1.Condition) {
	if after == nil || before != nil && before.Reason == after.Reason {
		return
	}
	switch after.Reason {
	case federation.ReasonPending:
	case federation.ReasonPublished:
		r.Eventf(obj, nil, corev1.EventTypeNormal, after.Reason, "Publish", "%s", after.Message)
	case federation.ReasonNoEndpoints, federation.ReasonNoZone:
		if before != nil {
			r.Eventf(obj, nil, corev1.EventTypeNormal, after.Reason, "Publish", "%s", after.Message)
		}
	case federation.ReasonAllUnhealthy:
		// A Service whose first pods are starting is no news.
		if before != nil && before.Reason != federation.ReasonPending && before.Reason != federation.ReasonNoEndpoints {
			r.Eventf(obj, nil, corev1.EventTypeWarning, after.Reason, "Publish", "%s", after.Message)
		}
	default:
		r.Eventf(obj, nil, corev1.EventTypeWarning, after.Reason, "Publish", "%s", after.Message)
	}
}
