package apiserver

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/admission"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const taintsPlugin = "FederationTaints"

// taints is the admission plugin that notes on a Cluster since when each NoExecute taint is there, where whoever wrote
// it does not say: tolerationSeconds run from then, and have to survive a restart. A manifest that is applied again
// without the time leaves it as it was.
type taints struct {
	*admission.Handler
	now func() time.Time
}

var _ admission.MutationInterface = &taints{}

func newTaints() *taints {
	return &taints{admission.NewHandler(admission.Create, admission.Update), time.Now}
}

// Admit implements admission.MutationInterface.
func (p *taints) Admit(_ context.Context, attr admission.Attributes, _ admission.ObjectInterfaces) error {
	if attr.GetSubresource() != "" || attr.GetKind().GroupKind() != federation.GroupVersion.WithKind("Cluster").GroupKind() {
		return nil
	}
	cluster, ok := attr.GetObject().(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	since := map[string]any{}
	if old, ok := attr.GetOldObject().(*unstructured.Unstructured); ok {
		for _, t := range taintsOf(old) {
			since[taintID(t)] = t["timeAdded"]
		}
	}
	for _, t := range taintsOf(cluster) {
		if t["effect"] != string(corev1.TaintEffectNoExecute) || t["timeAdded"] != nil {
			continue
		}
		if before := since[taintID(t)]; before != nil {
			t["timeAdded"] = before
		} else {
			t["timeAdded"] = p.now().UTC().Format(time.RFC3339)
		}
	}
	return nil
}

// taintsOf gives the taints themselves, to be changed in place.
func taintsOf(cluster *unstructured.Unstructured) (found []map[string]any) {
	value, _, _ := unstructured.NestedFieldNoCopy(cluster.Object, "spec", "taints")
	list, _ := value.([]any)
	for _, item := range list {
		if t, ok := item.(map[string]any); ok {
			found = append(found, t)
		}
	}
	return found
}

func taintID(t map[string]any) string {
	text := func(key string) string { s, _ := t[key].(string); return s }
	return text("key") + "=" + text("value") + ":" + text("effect")
}
