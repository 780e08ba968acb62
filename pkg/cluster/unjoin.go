package cluster

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Annotations on the Tombstone of a cluster that left without being cleaned.
const (
	annotationClusterID = federation.GroupName + "/cluster-id"
	annotationWorkloads = federation.GroupName + "/workloads"
)

// UnjoinOptions say which cluster leaves which federation, and what becomes of what runs there.
type UnjoinOptions struct {
	Name string
	// Federation and Member are the user's own ways to both. Member is nil where the kubeconfig has none.
	Federation, Member *rest.Config
	Workloads          Workloads
	// Force leaves a cluster uncleaned although the federation still reaches it.
	Force bool
	// Timeout bounds each wait.
	Timeout time.Duration
	// Progress is told what is being done or waited for; nil is silence.
	Progress func(format string, args ...any)
}

// UnjoinResult says what Unjoin did.
type UnjoinResult struct {
	Federation string
	// Cleaning is what was done in the member, nil where it was left as it is.
	Cleaning *Cleaning
	// Unreachable says why it was left, and Tombstone which object remembers that.
	Unreachable, Tombstone string
}

// Unjoin takes a cluster out of a federation: first the federation lets go of it, so that nobody writes there any more,
// then the member is cleaned with the user's own credentials. A member that is gone is left, with a Tombstone that a
// later Join of the same cluster carries out. What was interrupted is resumed by calling it again.
func Unjoin(ctx context.Context, o UnjoinOptions) (UnjoinResult, error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	if o.Workloads != WorkloadsKeep && o.Workloads != WorkloadsRemove {
		return UnjoinResult{}, fmt.Errorf("--workloads=%s: must be %s or %s", o.Workloads, WorkloadsKeep, WorkloadsRemove)
	}
	u, err := surveyUnjoin(ctx, o)
	if err != nil {
		return UnjoinResult{}, err
	}
	result := UnjoinResult{Federation: u.info.Name}
	if u.unreachable != nil {
		result.Unreachable = u.unreachable.Error()
		if result.Tombstone, err = u.leaveTombstone(ctx, o); err != nil {
			return result, err
		}
	}
	if err := u.letGo(ctx, o); err != nil {
		return result, err
	}
	if u.unreachable != nil {
		return result, nil
	}
	o.Progress("cleaning cluster %s", o.Name)
	result.Cleaning, err = u.clean(ctx, o)
	return result, err
}

// departure is what unjoin finds before it writes.
type departure struct {
	federation, member *site
	info               Info
	cluster            *federation.Cluster // nil: an earlier unjoin got that far
	unreachable        error               // why the member can't be cleaned
}

func surveyUnjoin(ctx context.Context, o UnjoinOptions) (*departure, error) {
	u := &departure{}
	var err error
	if u.info, err = ReadInfo(ctx, o.Federation); err != nil {
		return nil, fmt.Errorf("reading which federation this is: %w", err)
	}
	if u.federation, err = openSite(fmt.Sprintf("federation %q", u.info.Name), o.Federation); err != nil {
		return nil, err
	}
	cluster := &federation.Cluster{}
	if err := u.federation.client.Get(ctx, types.NamespacedName{Name: o.Name}, cluster); err == nil {
		u.cluster = cluster
	} else if !apierrors.IsNotFound(err) {
		return nil, u.federation.reach(err)
	}
	if err := u.federation.check(ctx, []right{
		{verb: "delete", group: federation.GroupName, resource: "clusters"},
		{verb: "create", group: federation.GroupName, resource: "tombstones"},
	}); err != nil {
		return nil, err
	}
	if err := u.lookAtMember(ctx, o); err != nil {
		return nil, err
	}
	if u.unreachable == nil {
		return u, nil
	}
	if u.cluster == nil {
		return nil, fmt.Errorf("federation %q has no cluster %q: see `kubectl get clusters`", u.info.Name, o.Name)
	}
	if ready, _ := condition(u.cluster.Status, federation.ClusterReady); ready && !o.Force {
		return nil, fmt.Errorf("cluster %q is Ready, but you can't reach it to clean it: %w; name its context by --cluster-context, or pass --force to leave what is there", o.Name, u.unreachable)
	}
	return u, nil
}

// lookAtMember finds out whether the cluster can be cleaned, and that it is the right one.
func (u *departure) lookAtMember(ctx context.Context, o UnjoinOptions) error {
	if o.Member == nil {
		u.unreachable = fmt.Errorf("the kubeconfig has no context for it")
		return nil
	}
	var err error
	if u.member, err = openSite(fmt.Sprintf("cluster %q", o.Name), o.Member); err != nil {
		return err
	}
	id, err := u.member.identity(ctx)
	if err != nil {
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return err // it is there: that is for the user to put right
		}
		u.unreachable = err
		return nil
	}
	if u.cluster != nil && u.cluster.Spec.ClusterID != "" && u.cluster.Spec.ClusterID != id {
		return fmt.Errorf("the cluster at %s is not the one that joined as %q (its ID is %s, not %s): name the right context by --cluster-context",
			o.Member.Host, o.Name, id, u.cluster.Spec.ClusterID)
	}
	if u.cluster == nil {
		namespace, err := u.member.systemNamespace(ctx)
		if err != nil {
			return err
		}
		if namespace == nil || ownerOf(namespace) != u.owner(o.Name) {
			return fmt.Errorf("federation %q has no cluster %q: see `kubectl get clusters`", u.info.Name, o.Name)
		}
	}
	return u.member.check(ctx, []right{
		{verb: "delete", group: "rbac.authorization.k8s.io", resource: "clusterroles"},
		{verb: "delete", group: "rbac.authorization.k8s.io", resource: "clusterrolebindings"},
		{verb: "delete", resource: "namespaces"},
	})
}

func (u *departure) owner(name string) owner {
	return owner{federation: u.info.Name, federationID: u.info.ID, cluster: name}
}

// leaveTombstone remembers that the member was not cleaned.
func (u *departure) leaveTombstone(ctx context.Context, o UnjoinOptions) (string, error) {
	t := &federation.Tombstone{ObjectMeta: metav1.ObjectMeta{Name: secretName(o.Name)}}
	wanted := func() {
		t.Annotations = map[string]string{annotationClusterID: u.cluster.Spec.ClusterID, annotationWorkloads: string(o.Workloads)}
		t.Spec = federation.TombstoneSpec{
			Object: federation.ObjectReference{
				APIVersion: federation.GroupVersion.String(), Kind: "Cluster", Name: o.Name, UID: u.cluster.UID,
			},
			Clusters: []string{o.Name},
		}
	}
	wanted()
	err := u.federation.client.Create(ctx, t, client.FieldOwner(joinManager))
	if apierrors.IsAlreadyExists(err) {
		if err = u.federation.client.Get(ctx, client.ObjectKeyFromObject(t), t); err == nil {
			wanted()
			err = u.federation.client.Update(ctx, t, client.FieldOwner(joinManager))
		}
	}
	if err != nil {
		return "", fmt.Errorf("writing Tombstone %s to %s: %w", t.Name, u.federation.what, err)
	}
	return t.Name, nil
}

// letGo deletes the Cluster and waits until the controller has stopped everything that writes to the member.
func (u *departure) letGo(ctx context.Context, o UnjoinOptions) error {
	if u.cluster == nil {
		return nil
	}
	o.Progress("taking cluster %s out of federation %s", o.Name, u.info.Name)
	if err := u.federation.client.Delete(ctx, u.cluster, client.Preconditions{UID: &u.cluster.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting Cluster %s in %s: %w", o.Name, u.federation.what, err)
	}
	err := await(ctx, o.Timeout, fmt.Sprintf("federation %q to let go of cluster %q", u.info.Name, o.Name), o.Progress, func(ctx context.Context) (string, error) {
		var left federation.Cluster
		err := u.federation.client.Get(ctx, types.NamespacedName{Name: o.Name}, &left)
		if apierrors.IsNotFound(err) || err == nil && left.UID != u.cluster.UID {
			return "", nil
		}
		return fmt.Sprintf("its finalizers are %q; the federation's controllers take them off", left.Finalizers), err
	})
	if err != nil {
		return fmt.Errorf("%w; see that the controllers run (`kubefed status`), then run `kubefed unjoin %s` again", err, o.Name)
	}
	return nil
}

func (u *departure) clean(ctx context.Context, o UnjoinOptions) (*Cleaning, error) {
	c, err := newCleaner(u.member, u.owner(o.Name), o.Workloads, o.Timeout, o.Progress)
	if err != nil {
		return nil, err
	}
	if err := c.workloads(ctx); err != nil {
		return &c.report, err
	}
	if err := c.membership(ctx); err != nil {
		return &c.report, err
	}
	return &c.report, nil
}

// clearTombstones does for a cluster that comes back what was left undone when it was unjoined while it was away.
func (s *survey) clearTombstones(ctx context.Context, o JoinOptions) (*Cleaning, error) {
	var last *Cleaning
	for i := range s.tombstones {
		t := &s.tombstones[i]
		workloads := Workloads(t.Annotations[annotationWorkloads])
		if workloads != WorkloadsRemove {
			workloads = WorkloadsKeep
		}
		o.Progress("carrying out tombstone %s", t.Name)
		c, err := newCleaner(s.member, s.owner(t.Spec.Object.Name), workloads, o.Timeout, o.Progress)
		if err != nil {
			return nil, err
		}
		if err := c.workloads(ctx); err != nil {
			return nil, err
		}
		if len(c.report.Remains) > 0 {
			return nil, fmt.Errorf("the cluster left this federation while it could not be reached; carrying out what was asked for then (--workloads=%s): %s; "+
				"put that right and run the command again, or delete Tombstone %s to leave it", workloads, c.report.Remains[0], t.Name)
		}
		if err := s.federation.client.Delete(ctx, t); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("deleting Tombstone %s in %s: %w", t.Name, s.federation.what, err)
		}
		last = &c.report
	}
	return last, nil
}
