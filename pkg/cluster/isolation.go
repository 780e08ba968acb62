package cluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/verdict"
)

// writeIsolation writes the federation's condition Isolated where it changed, and makes the Federation where it is missing.
func (a *assessor) writeIsolation(ctx context.Context, members bool, now time.Time) error {
	name := a.c.options.Federation
	if name == "" {
		return nil
	}
	isolated := 0.0
	if a.view.Isolated {
		isolated = 1
	}
	federationIsolated.Set(isolated)
	object := &federation.Federation{}
	err := a.c.federation.Get(ctx, client.ObjectKey{Name: name}, object)
	if apierrors.IsNotFound(err) {
		object = &federation.Federation{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err = a.c.federation.Create(ctx, object); apierrors.IsAlreadyExists(err) {
			return nil // the cache lags behind
		}
	}
	if err != nil {
		return fmt.Errorf("reading federation %s: %w", name, err)
	}
	before := meta.FindStatusCondition(object.Status.Conditions, federation.FederationIsolated)
	want := isolation(a.view, object.Generation, now)
	if before != nil && before.Status == want.Status || before == nil && !members {
		return nil
	}
	updated := object.DeepCopy()
	meta.SetStatusCondition(&updated.Status.Conditions, want)
	if err := a.c.federation.Status().Patch(ctx, updated, client.MergeFrom(object)); err != nil {
		return fmt.Errorf("writing condition %s of federation %s: %w", federation.FederationIsolated, name, err)
	}
	switch {
	case a.view.Isolated:
		a.c.events.Eventf(updated, nil, corev1.EventTypeWarning, want.Reason, "Judge", "%s", want.Message)
	case before != nil:
		a.c.events.Eventf(updated, nil, corev1.EventTypeNormal, want.Reason, "Judge", "%s", want.Message)
	}
	return nil
}

// isolation is the condition that a view amounts to.
func isolation(view verdict.View, generation int64, now time.Time) metav1.Condition {
	c := metav1.Condition{
		Type: federation.FederationIsolated, Status: metav1.ConditionFalse, Reason: federation.ReasonMembersAnswer,
		Message: view.Message(), ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	}
	if view.Isolated {
		c.Status, c.Reason = metav1.ConditionTrue, federation.ReasonMembersSilent
	}
	return c
}
