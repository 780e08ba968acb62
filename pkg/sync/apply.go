package sync

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
)

var crdKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// apply makes the member hold the object as decided; it sends nothing if the member does.
func (m *member) apply(ctx context.Context, c *copies, key Key, in reading, live *Copy) (reconcile.Result, error) {
	if live != nil && live.DeletionTimestamp != nil {
		m.settle(key, outcome{State: federation.StateWaiting, Message: "a former copy is still being deleted in the cluster"})
		return reconcile.Result{}, nil // its deletion is seen
	}
	config, instead, again := m.render(ctx, in, live)
	before := m.outcome(key)
	if config == nil {
		if instead.State != before.State {
			stuck(m.view.recorder, in.object, m.Name, instead)
		}
		o := before // the copy keeps what it has
		o.State, o.Message = instead.State, instead.Message
		m.settle(key, o)
		return reconcile.Result{RequeueAfter: again}, nil
	}
	want := DigestOf(config)
	if inSync(live, want, before) {
		o := outcome{State: federation.StateSynced, of: in.revision(), want: want, owned: before.owned, version: before.version, uid: before.uid}
		if live != nil && !older(live.ResourceVersion, before.version) {
			o.owned, o.version, o.uid = live.Owned, live.ResourceVersion, live.UID
		}
		m.settle(key, o)
		return reconcile.Result{}, nil
	}
	if m.offline.Load() {
		o := before
		o.State, o.Message = federation.StateWaiting, "the cluster is not ready; it gets the object when it is"
		m.settle(key, o)
		return reconcile.Result{}, nil // a new member starts when it is ready again
	}
	if drifted(live, want, before) {
		driftCorrected(m.view.recorder, in.object, m.Name)
	}
	called, span := m.span(ctx, "sync apply", key, in, in.object.GetUID())
	result, err := m.put(called, c, key, in, config, live != nil || before.uid != "")
	o, retry := m.classify(err, in)
	span.End(o.State, err)
	o.want, o.uid, o.version, o.of = want, before.uid, before.version, before.of
	if err == nil {
		o.of = in.revision()
		o.owned, _ = OwnedDigest(result, federation.FieldManager)
		o.version, o.uid = result.GetResourceVersion(), result.GetUID()
		m.view.arrived(key, m.Name)
	}
	memberWrites.WithLabelValues(m.Name, "apply", o.State).Inc()
	if o.State != before.State {
		stuck(m.view.recorder, in.object, m.Name, o)
	}
	m.settle(key, o)
	return reconcile.Result{RequeueAfter: retry}, nil
}

// keepReplicas says whether the number of replicas belongs to an autoscaler in the member.
func (m *member) keepReplicas(ctx context.Context, in reading, live *Copy) bool {
	if live == nil || !live.Autoscaled || in.kind.Replicas == nil {
		return false
	}
	// Whether the autoscaler is the federation's or the member's own, it is in the member. Asked only when the number
	// was set by it before.
	list, err := m.Dynamic.Resource(schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}).
		Namespace(live.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return true // unknown: leave it alone
	}
	for i := range list.Items {
		target := nested(list.Items[i].Object, "spec", "scaleTargetRef")
		if target["kind"] == in.kind.Kind && target["name"] == live.Name {
			return true
		}
	}
	return false
}

// put applies config. Unless the federation already has a copy there, it only creates: whatever is there under this
// name stays as it is, unless the user said otherwise.
func (m *member) put(ctx context.Context, c *copies, key Key, in reading, config *unstructured.Unstructured, ours bool) (*unstructured.Unstructured, error) {
	if in.kind.GroupKind() == crdKind {
		group, _, _ := unstructured.NestedString(in.object.Object, "spec", "group")
		plural, _, _ := unstructured.NestedString(in.object.Object, "spec", "names", "plural")
		if err := cluster.GrantCustomResource(ctx, m.Member, group, plural); err != nil {
			return nil, err
		}
	}
	patch := func(config *unstructured.Unstructured, o metav1.PatchOptions) (*unstructured.Unstructured, error) {
		data, err := json.Marshal(config.Object)
		if err != nil {
			return nil, fmt.Errorf("encoding: %w", err)
		}
		force := true
		o.FieldManager, o.Force = federation.FieldManager, &force
		return c.client(key.Namespace).Patch(ctx, key.Name, types.ApplyPatchType, data, o)
	}
	send := func() (*unstructured.Unstructured, error) {
		if ours {
			return patch(config, metav1.PatchOptions{})
		}
		// A resource version that no object has lets the API server create, but not change.
		created := &unstructured.Unstructured{Object: maps.Clone(config.Object)}
		created.Object["metadata"] = maps.Clone(nested(config.Object, "metadata"))
		created.SetResourceVersion("1")
		return patch(created, metav1.PatchOptions{})
	}
	result, err := send()
	if apierrors.IsNotFound(err) && key.Namespace != "" && m.namespaceFirst(ctx, key.Namespace) {
		result, err = send()
	}
	if !apierrors.IsConflict(err) || ours {
		return result, err
	}
	there, getErr := c.client(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if getErr != nil {
		return nil, getErr
	}
	if there.GetLabels()[federation.LabelFederation] == m.view.federation {
		return patch(config, metav1.PatchOptions{})
	}
	how := in.object.GetAnnotations()[federation.AnnotationOnConflict]
	if owner := there.GetLabels()[federation.LabelFederation]; owner != "" {
		return nil, &conflictError{fmt.Sprintf("it belongs to federation %q", owner)}
	}
	switch how {
	case federation.OnConflictOverwrite:
	case federation.OnConflictAdopt:
		dry, err := patch(config, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return nil, err
		}
		if t := in.kind.PodTemplate; t != nil && !equality.Semantic.DeepEqual(nested(dry.Object, t...), nested(there.Object, t...)) {
			return nil, &conflictError{fmt.Sprintf("its pod template differs, so that adopting it would restart pods: make them equal, or set %s=%s", federation.AnnotationOnConflict, federation.OnConflictOverwrite)}
		}
	default:
		return nil, &conflictError{fmt.Sprintf("the cluster has one that is not the federation's: delete or rename it there, or annotate the federated object with %s=%s or =%s",
			federation.AnnotationOnConflict, federation.OnConflictAdopt, federation.OnConflictOverwrite)}
	}
	result, err = patch(config, metav1.PatchOptions{})
	if err == nil {
		adopted(m.view.recorder, in.object, m.Name, how)
	}
	return result, err
}

type conflictError struct{ message string }

func (e *conflictError) Error() string { return e.message }

// namespaceFirst puts a namespace into the member that something waits for, and says whether it is there.
func (m *member) namespaceFirst(ctx context.Context, namespace string) bool {
	key := Key{GroupKind: namespaceKind, Name: namespace}
	in, err := m.view.read(ctx, key, m.Name)
	if err != nil || !in.complete || in.wish.Verb != Apply {
		return false
	}
	c, err := m.copiesOf(ctx, in.kind)
	if err != nil || !c.ready(nil) {
		return false
	}
	_, err = m.apply(ctx, c, key, in, c.get("", namespace))
	return err == nil && m.outcome(key).State == federation.StateSynced
}

// classify makes an outcome of a write's error, and says when to try again. Zero: when something changes.
func (m *member) classify(err error, in reading) (outcome, time.Duration) {
	var conflict *conflictError
	switch {
	case err == nil:
		return outcome{State: federation.StateSynced}, 0
	case asConflict(err, &conflict):
		return outcome{State: federation.StateConflict, Message: conflict.message}, 30 * time.Second
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return outcome{State: federation.StateWaiting, Message: fmt.Sprintf("namespace %s is terminating in the cluster", in.object.GetNamespace())}, 2 * time.Second
	case apierrors.IsForbidden(err) && !strings.Contains(err.Error(), " cannot "):
		// Not the federation's rights: a quota, Pod Security or an admission policy of the member says no.
		return outcome{State: federation.StateRejected, Message: err.Error()}, time.Minute
	case apierrors.IsForbidden(err):
		return outcome{State: federation.StateForbidden, Message: fmt.Sprintf("%v (run `kubefed join %s` again to renew the federation's role there)", err, m.Name)}, time.Minute
	case apierrors.IsNotFound(err) && in.object.GetNamespace() != "":
		return outcome{State: federation.StateWaiting, Message: fmt.Sprintf("namespace %s is not in the cluster yet", in.object.GetNamespace())}, 500 * time.Millisecond
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return outcome{State: federation.StateRejected, Message: err.Error()}, 2 * time.Minute
	default:
		return outcome{State: federation.StateFailed, Message: err.Error()}, 2 * time.Second
	}
}

// remove deletes a copy; the watch tells when it is gone.
func (m *member) remove(ctx context.Context, c *copies, key Key, in reading, live *Copy) (reconcile.Result, error) {
	o := m.outcome(key)
	if m.offline.Load() {
		o.State, o.Message = federation.StateWaiting, "the cluster is not ready; the copy there is removed when it is"
		m.settle(key, o)
		return reconcile.Result{}, nil
	}
	o.State, o.Message, o.uid, o.version = federation.StateDeleting, "", live.UID, live.ResourceVersion
	m.settle(key, o)
	if live.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	background := metav1.DeletePropagationBackground
	called, span := m.span(ctx, "sync delete", key, in, live.OriginUID)
	err := c.client(key.Namespace).Delete(called, key.Name, metav1.DeleteOptions{
		PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &live.UID},
	})
	span.End(o.State, err)
	memberWrites.WithLabelValues(m.Name, "delete", o.State).Inc()
	switch {
	case err == nil:
		return reconcile.Result{}, nil
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		// Gone, or another object has the name: the watch has or will have it.
		if c.get(key.Namespace, key.Name) == nil {
			m.forget(key)
		}
		return reconcile.Result{RequeueAfter: time.Second}, nil
	default:
		o.Message = err.Error()
		m.settle(key, o)
		return reconcile.Result{RequeueAfter: 2 * time.Second}, nil
	}
}
