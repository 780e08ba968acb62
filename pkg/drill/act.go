package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// SplitMark reads the value of AnnotationDrill.
func SplitMark(value string) (name, mode string) {
	name, mode, _ = strings.Cut(value, "/")
	return name, mode
}

// act makes the marks on clusters what the stored status says.
func (c *Controller) act(ctx context.Context, d *federation.FailoverDrill) error {
	var list federation.ClusterList
	if err := c.federation.List(ctx, &list); err != nil {
		return fmt.Errorf("reading clusters for drill %s: %w", d.Name, err)
	}
	clusters := make([]Cluster, 0, len(list.Items))
	for i := range list.Items {
		clusters = append(clusters, ClusterOf(&list.Items[i], nil))
	}
	var failed []error
	for _, m := range Marks(d.Name, d.Spec.Mode, &d.Status, clusters) {
		failed = append(failed, c.mark(ctx, m))
	}
	return errors.Join(failed...)
}

// sweep takes away the marks of a drill that is gone.
func (c *Controller) sweep(ctx context.Context, name string) error {
	var list federation.ClusterList
	if err := c.federation.List(ctx, &list); err != nil {
		return fmt.Errorf("reading clusters: %w", err)
	}
	var failed []error
	for i := range list.Items {
		if owner, _ := SplitMark(list.Items[i].Annotations[federation.AnnotationDrill]); owner == name {
			failed = append(failed, c.mark(ctx, Mark{Cluster: list.Items[i].Name, Owner: name}))
		}
	}
	return errors.Join(failed...)
}

// mark changes one Cluster, its annotation and taint in one write.
func (c *Controller) mark(ctx context.Context, m Mark) error {
	cluster := &federation.Cluster{}
	if err := c.live.Get(ctx, client.ObjectKey{Name: m.Cluster}, cluster); err != nil {
		return client.IgnoreNotFound(err)
	}
	if owner, _ := SplitMark(cluster.Annotations[federation.AnnotationDrill]); owner != "" && owner != m.Owner {
		if m.Drill == "" {
			return nil // it is another drill's by now
		}
		return fmt.Errorf("marking cluster %s: drill %s has it marked", m.Cluster, owner)
	}
	before := cluster.DeepCopy()
	carry(cluster, m)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.federation.Patch(ctx, cluster, patch); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("marking cluster %s: %w", m.Cluster, err)
	}
	log.FromContext(ctx).Info("marked a cluster", "cluster", m.Cluster, "mark", m.Drill)
	return nil
}

// carry puts a mark on a Cluster, or takes it away. Of taints it takes away its own alone.
func carry(cluster *federation.Cluster, m Mark) {
	own := func(t corev1.Taint) bool {
		return t.Key == federation.TaintDrain && t.Value == federation.DrillTaintValue
	}
	if m.Drill == "" {
		delete(cluster.Annotations, federation.AnnotationDrill)
		cluster.Spec.Taints = slices.DeleteFunc(cluster.Spec.Taints, own)
		return
	}
	metav1.SetMetaDataAnnotation(&cluster.ObjectMeta, federation.AnnotationDrill, m.Drill)
	if m.Drain && !slices.ContainsFunc(cluster.Spec.Taints, own) {
		cluster.Spec.Taints = append(cluster.Spec.Taints, corev1.Taint{
			Key: federation.TaintDrain, Value: federation.DrillTaintValue, Effect: corev1.TaintEffectNoExecute,
		})
	}
}
