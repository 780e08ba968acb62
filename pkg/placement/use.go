package placement

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
)

// User is an object that needs another one where it runs.
type User struct {
	UID types.UID
	// Federated is what kind.Federated says of it. One that stopped being federated still has copies for a while.
	Federated bool
	// Deleted users wait for the removal of their copies.
	Deleted bool
	// Decision is the user's, nil where there is none.
	Decision *federation.PlacementDecision
}

// UseOf sums up where the users of an object are. It is pure.
func UseOf(users []User) *Use {
	use := &Use{}
	for _, user := range users {
		if user.Federated {
			use.Users++
		}
		d := user.Decision
		if d == nil || d.Spec.Object.UID != user.UID {
			use.Undecided = use.Undecided || user.Federated && !user.Deleted
		}
		if d == nil {
			continue
		}
		for i := range d.Spec.Clusters {
			use.Wanted = insert(use.Wanted, d.Spec.Clusters[i].Name)
		}
		for i := range d.Status.Clusters {
			use.Leaving = insert(use.Leaving, d.Status.Clusters[i].Name)
		}
	}
	return use
}

// insert adds a name to a sorted list that does not have it.
func insert(names []string, name string) []string {
	i, has := slices.BinarySearch(names, name)
	if has {
		return names
	}
	return slices.Insert(names, i, name)
}

// useOf finds out where an object is needed: in the clusters of the federated objects that refer to it, and in those
// where copies of such objects are still to be removed. What users' own dependencies need follows from these: a Secret of
// a ServiceAccount follows the ServiceAccount, which follows its workloads.
func (c *Controller) useOf(ctx context.Context, k kind.Kind, obj *unstructured.Unstructured) (*Use, error) {
	var users []User
	var failed error
	ref := kind.Ref{GroupKind: k.GroupKind(), Name: obj.GetName()}
	err := c.catalog.Users(obj.GetNamespace(), ref, func(k kind.Kind, user *unstructured.Unstructured) {
		d, err := c.decision(ctx, k.DecisionKey(user.GetNamespace(), user.GetName()))
		if err != nil {
			failed = err
		}
		users = append(users, User{
			UID: user.GetUID(), Federated: kind.Federated(k.GroupKind(), user),
			Deleted: user.GetDeletionTimestamp() != nil, Decision: d,
		})
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return UseOf(users), nil
}

// gather is how long an object waits that lost a user, or got one that it serves already: with many users at work it is
// looked at now and then, not for each of them, because a look costs as much as there are users.
const gather = 100 * time.Millisecond

// takeUpReleased takes up what an object stopped or began to refer to. What a new object refers to is left out: its
// decision, once made, takes that up.
func (c *Controller) takeUpReleased(k kind.Kind, before, after *unstructured.Unstructured) {
	if before == nil || !kind.Depends(k) || after != nil && !changed(before, after) {
		return
	}
	had, has := kind.Refs(k, before), kind.Refs(k, after)
	for _, ref := range has {
		if !slices.Contains(had, ref) {
			c.changes.add(refKey(before.GetNamespace(), ref))
		}
	}
	for _, ref := range had {
		if !slices.Contains(has, ref) {
			c.changes.addAfter(refKey(before.GetNamespace(), ref), gather)
		}
	}
}

// takeUpNeeded takes up what an object needs whose placement changed: at once, and ahead of others, what is to go to a
// cluster for it.
func (c *Controller) takeUpNeeded(ctx context.Context, d *federation.PlacementDecision, q queue) {
	key := objectOf(d)
	k, known := c.catalog.Lookup(key.GroupKind)
	if !known || !kind.Depends(k) {
		return
	}
	obj, err := c.catalog.Get(ctx, key.GroupKind, key.Namespace, key.Name)
	if err != nil {
		return // its deletion took them up
	}
	for _, ref := range kind.Refs(k, obj) {
		if c.serves(ctx, ref, d) {
			q.AddAfter(refKey(key.Namespace, ref), gather)
		} else {
			addAhead(q, refKey(key.Namespace, ref))
		}
	}
}

// serves says whether an object is decided to be in all clusters of one of its users.
func (c *Controller) serves(ctx context.Context, ref kind.Ref, user *federation.PlacementDecision) bool {
	k, known := c.catalog.Lookup(ref.GroupKind)
	if !known {
		return false
	}
	d, err := c.decision(ctx, k.DecisionKey(user.Namespace, ref.Name))
	if err != nil || d == nil {
		return false
	}
	return !slices.ContainsFunc(user.Spec.Clusters, func(p federation.ClusterPlacement) bool {
		return !includes(d.Spec.Clusters, p.Name)
	})
}

// left says whether copies have gone from a cluster since.
func left(before, after []federation.ClusterState) bool {
	return slices.ContainsFunc(before, func(s federation.ClusterState) bool {
		return !slices.ContainsFunc(after, func(a federation.ClusterState) bool { return a.Name == s.Name })
	})
}

func refKey(namespace string, ref kind.Ref) Key {
	return Key{ref.GroupKind, types.NamespacedName{Namespace: namespace, Name: ref.Name}}
}

func addAhead(q queue, key Key) {
	if pq, ok := q.(priorityqueue.PriorityQueue[Key]); ok {
		ahead := 1
		pq.AddWithOpts(priorityqueue.AddOpts{Priority: &ahead}, key)
		return
	}
	q.Add(key)
}
