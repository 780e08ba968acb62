package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/policy"
)

// Key names a federated object.
type Key = placement.Key

// World is a federation at one time.
type World struct {
	Now      time.Time
	Clusters []placement.Cluster
	// Members are the Clusters themselves by name, for what placement does not depend on: what nodes cost.
	Members  map[string]*federation.Cluster
	Policies []*policy.Propagation
	Objects  map[Key]Object
	// lost are clusters that are imagined to be lost.
	lost map[string]bool
}

// Object is a federated object and the decision on it, nil where there is none.
type Object struct {
	kind.Kind
	*unstructured.Unstructured
	Decision *federation.PlacementDecision
}

// Clone is a world that can be changed without changing this one.
func (w *World) Clone() *World {
	clone := *w
	clone.Objects = maps.Clone(w.Objects)
	return &clone
}

// KeyOf is an object's key.
func KeyOf(k kind.Kind, obj *unstructured.Unstructured) Key {
	return Key{GroupKind: k.GroupKind(), NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}}
}

// Add puts an object in the place of one of the same name, whose decision it takes over.
func (w *World) Add(k kind.Kind, obj *unstructured.Unstructured) Key {
	key := KeyOf(k, obj)
	old, exists := w.Objects[key]
	if exists {
		obj.SetUID(old.GetUID())
	}
	w.Objects[key] = Object{Kind: k, Unstructured: obj, Decision: old.Decision}
	return key
}

// SetPolicy puts a policy in the place of one of the same name.
func (w *World) SetPolicy(p *policy.Propagation) {
	w.Policies = slices.DeleteFunc(slices.Clone(w.Policies), func(old *policy.Propagation) bool {
		if old.Reference == p.Reference && old.Namespace == p.Namespace {
			p.Created = old.Created
			return true
		}
		return false
	})
	w.Policies = append(w.Policies, p)
}

// Result is what an object comes to when everything has settled.
type Result struct {
	// Answer is the last one, or the first one where Settle did not come to an end.
	placement.Answer
	// First is the answer to the question as it is now, with the record of the candidates.
	First placement.Answer
	// Steps counts the decisions on the way, Waits is how long timers held moves back.
	Steps int
	Waits time.Duration
	// Pending counts replicas for which no room is known in the clusters that they go to.
	Pending int32
}

// maxSteps bounds the decisions on the way of one object: a replica at a time, of thousands.
const maxSteps = 10000

// Settle decides on all objects, again and again as replicas become ready and timers run out, until nothing changes.
// What one object takes is not there for the next one.
func (w *World) Settle() map[Key]Result {
	results := make(map[Key]Result, len(w.Objects))
	reserved := map[string]corev1.ResourceList{}
	clusters := slices.Clone(w.Clusters)
	users := w.users()
	for _, key := range w.order() {
		in := w.input(key, users, results)
		in.Clusters = clusters
		before := sharesOf(in.Current)
		result := w.settle(in)
		growth := map[string]int32{}
		for name, n := range sharesOf(&result.Decision) {
			if n > before[name] {
				growth[name] = n - before[name]
			}
		}
		result.Pending = pending(result.First.Candidates, growth)
		if in.Object.Request != nil && len(growth) > 0 {
			clusters = slices.Clone(clusters) // the answers so far saw the others
			for i := range clusters {
				if n := growth[clusters[i].Name]; n > 0 {
					clusters[i].Reserved = plus(reserved, clusters[i], in.Object.Request, n)
				}
			}
		}
		results[key] = result
	}
	return results
}

// input is the question that the controller would ask about an object now. results are what users have come to.
func (w *World) input(key Key, users index, results map[Key]Result) placement.Input {
	o := w.Objects[key]
	in := placement.Input{Object: placement.ObjectFacts(o.Kind, o.Unstructured), Clusters: w.Clusters, Now: w.Now, Explain: true}
	in.Object.Unfederated = !kind.Federated(o.GroupKind(), o.Unstructured)
	in.Policy = policy.Choose(w.Policies, ObjectOf(o))
	if o.Decision != nil {
		in.Current, in.Copies = &o.Decision.Spec, placement.CopiesOf(o.Decision)
	}
	if !in.Object.Unfederated && kind.Dependency(o.GroupKind()) {
		in.Object.Use = w.use(key, users, results)
	}
	for i := range in.Copies {
		if w.lost[in.Copies[i].Cluster] {
			in.Copies[i].Ready = ptr.To[int32](0)
		}
	}
	return in
}

// ObjectOf is what policies look at.
func ObjectOf(o Object) policy.Object {
	return policy.Object{GroupKind: o.GroupKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Labels: o.GetLabels()}
}

// use gathers where the users of an object come to be by results, or are by the decisions in force.
func (w *World) use(key Key, users index, results map[Key]Result) *placement.Use {
	var list []placement.User
	for _, user := range users[key] {
		o := w.Objects[user]
		u := placement.User{UID: o.GetUID(), Federated: kind.Federated(o.GroupKind(), o.Unstructured), Decision: o.Decision}
		if r, settled := results[user]; settled {
			u.Decision = &federation.PlacementDecision{Spec: r.Decision}
		}
		list = append(list, u)
	}
	return placement.UseOf(list)
}

// index holds the users of every object that something refers to.
type index map[Key][]Key

func (w *World) users() index {
	users := index{}
	for user, o := range w.Objects {
		for _, ref := range kind.Refs(o.Kind, o.Unstructured) {
			key := Key{GroupKind: ref.GroupKind, NamespacedName: types.NamespacedName{Namespace: user.Namespace, Name: ref.Name}}
			users[key] = append(users[key], user)
		}
	}
	return users
}

// settle lets time pass for one object.
func (w *World) settle(in placement.Input) Result {
	r := Result{}
	for ; r.Steps < maxSteps; r.Steps++ {
		a := placement.Place(in)
		if r.Steps == 0 {
			r.First = a
			in.Explain = false
		}
		r.Answer = a
		same := in.Current != nil && placement.Same(in.Current, &a.Decision)
		if same && (a.Wake.IsZero() || !a.Wake.After(in.Now)) {
			break
		}
		if same {
			r.Waits += a.Wake.Sub(in.Now)
			in.Now = a.Wake
		}
		in.Current, in.Copies = &a.Decision, w.running(&a.Decision, in.Copies, in.Object.Replicas)
	}
	return r
}

// running is a decision carried out: all replicas are ready but those in clusters that are lost.
func (w *World) running(d *placement.Decision, before []placement.Copy, replicas *int32) []placement.Copy {
	copies := make([]placement.Copy, 0, len(d.Clusters))
	for _, c := range d.Clusters {
		i := slices.IndexFunc(before, func(b placement.Copy) bool { return b.Cluster == c.Name })
		next := placement.Copy{Cluster: c.Name, Synced: !w.lost[c.Name]}
		if i >= 0 {
			next.Finished = before[i].Finished
		}
		switch {
		case w.lost[c.Name]:
			next.Ready = ptr.To[int32](0)
		case c.Replicas != nil:
			next.Ready = ptr.To(*c.Replicas)
		default:
			next.Ready = replicas
		}
		copies = append(copies, next)
	}
	return copies
}

// order lists objects so that users come before what they use, and otherwise by kind, namespace and name.
func (w *World) order() []Key {
	layer := func(k Key) int {
		switch {
		case !kind.Dependency(k.GroupKind):
			return 0
		case k.GroupKind == schema.GroupKind{Kind: "ServiceAccount"}:
			return 1
		}
		return 2
	}
	return slices.SortedFunc(maps.Keys(w.Objects), func(a, b Key) int {
		return cmp.Or(cmp.Compare(layer(a), layer(b)), compareKeys(a, b))
	})
}

func compareKeys(a, b Key) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Group, b.Group),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// sharesOf are the replicas of each cluster; a whole copy counts as one.
func sharesOf(d *placement.Decision) map[string]int32 {
	shares := map[string]int32{}
	if d != nil {
		for _, c := range d.Clusters {
			shares[c.Name] = ptr.Deref(c.Replicas, 1)
		}
	}
	return shares
}

// pending counts the replicas that clusters get beyond what is known to fit there.
func pending(candidates []placement.Candidate, growth map[string]int32) int32 {
	n := int32(0)
	for _, c := range candidates {
		if c.Fits != nil {
			n += max(growth[c.Cluster]-*c.Fits, 0)
		}
	}
	return n
}

// plus adds n requests to what is reserved in a cluster.
func plus(reserved map[string]corev1.ResourceList, c placement.Cluster, request corev1.ResourceList, n int32) corev1.ResourceList {
	have := reserved[c.Name]
	if have == nil {
		have = c.Reserved.DeepCopy()
		if have == nil {
			have = corev1.ResourceList{}
		}
		reserved[c.Name] = have
	}
	for name, q := range request {
		total := have[name]
		for range n {
			total.Add(q)
		}
		have[name] = total
	}
	return have.DeepCopy()
}
