package placement

import (
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	// reservedFor is how long a reservation lasts at most: by then the pods are on nodes and in what is free there, or
	// the member tells that it finds no node for them.
	reservedFor = 90 * time.Second
	// observedAfter is how much later than its last replica became ready what is free shows an object for certain.
	observedAfter = 2 * time.Second
)

// ledger reserves room in clusters for replicas that were placed a moment ago and are not in Cluster.status.free yet, so
// that decisions made at the same time do not all take the same room.
//
//	decided -> reserved -> all ready -> free observed anew: dropped (after reservedFor in any case)
//
// It is a cache: what is lost with it is made good by the next observation. The zero value is ready to use.
type ledger struct {
	mu       sync.Mutex
	clusters map[string]*account
	purged   time.Time
}

// account is what is reserved in one cluster.
type account struct {
	by    map[Key]*reservation
	total corev1.ResourceList
}

type reservation struct {
	request  corev1.ResourceList
	replicas int64
	until    time.Time
	ready    time.Time // when all replicas were seen ready, zero while they are not
}

// decide places an object with what others reserved in view, and reserves what it places. undo takes that back, for a
// decision that could not be stored. Decisions that depend on room are made one at a time.
func (l *ledger) decide(key Key, in Input) (a Answer, undo func()) {
	if in.Policy == nil || in.Object.Request == nil {
		a = Place(in)
		l.mu.Lock()
		defer l.mu.Unlock()
		return a, l.book(key, &in, &a.Decision)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	in.Clusters = l.view(in.Clusters, in.Now)
	a = Place(in)
	return a, l.book(key, &in, &a.Decision)
}

// view returns clusters with what is reserved in each.
func (l *ledger) view(clusters []Cluster, now time.Time) []Cluster {
	l.purge(now)
	if len(l.clusters) == 0 {
		return clusters
	}
	clusters = slices.Clone(clusters)
	for i := range clusters {
		if account := l.clusters[clusters[i].Name]; account != nil {
			clusters[i].Reserved = account.total
		}
	}
	return clusters
}

// book reserves the growth of an object's shares where it is known what is free, and gives back what they shrink.
func (l *ledger) book(key Key, in *Input, want *Decision) (undo func()) {
	if in.Object.Request == nil || !in.Object.Divided {
		return func() {}
	}
	type line struct {
		cluster string
		growth  int64
	}
	var lines []line
	for i := range in.Clusters {
		c := &in.Clusters[i]
		if c.Free == nil {
			continue
		}
		if growth := shareIn(want, c.Name, &in.Object) - shareIn(in.Current, c.Name, &in.Object); growth != 0 {
			l.add(c.Name, key, in.Object.Request, growth, in.Now)
			lines = append(lines, line{c.Name, growth})
		}
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, line := range lines {
			l.add(line.cluster, key, in.Object.Request, -line.growth, in.Now)
		}
	}
}

// shareIn is how many replicas a decision gives a cluster.
func shareIn(d *Decision, cluster string, o *Object) int64 {
	if d == nil || d.Object.UID != o.Reference.UID {
		return 0
	}
	for i := range d.Clusters {
		if p := &d.Clusters[i]; p.Name == cluster {
			return int64(ptr.Deref(p.Replicas, ptr.Deref(o.Replicas, 1)))
		}
	}
	return 0
}

// add reserves n more replicas, less where n is negative. Call it with mu held.
func (l *ledger) add(cluster string, key Key, request corev1.ResourceList, n int64, now time.Time) {
	a := l.clusters[cluster]
	if a == nil {
		if n <= 0 {
			return
		}
		a = &account{by: map[Key]*reservation{}}
		if l.clusters == nil {
			l.clusters = map[string]*account{}
		}
		l.clusters[cluster] = a
	}
	r := a.by[key]
	if r == nil {
		r = &reservation{request: request}
	}
	a.change(r, -r.replicas)
	r.request, r.replicas = request, max(r.replicas+n, 0)
	a.change(r, r.replicas)
	if n > 0 {
		r.until, r.ready = now.Add(reservedFor), time.Time{}
	}
	a.by[key] = r
	l.drop(cluster, func(_ Key, r *reservation) bool { return r.replicas == 0 }, key)
}

// change adds n replicas to the total. Readers hold the total they were given: it is never changed in place.
func (a *account) change(r *reservation, n int64) {
	if n == 0 {
		return
	}
	total := make(corev1.ResourceList, len(r.request))
	for name, q := range a.total {
		total[name] = q
	}
	for name, q := range r.request {
		sum := total[name]
		if name == corev1.ResourceCPU {
			sum.Add(*resource.NewMilliQuantity(q.MilliValue()*n, resource.DecimalSI))
		} else {
			sum.Add(*resource.NewQuantity(q.Value()*n, q.Format))
		}
		if sum.IsZero() {
			delete(total, name)
		} else {
			total[name] = sum
		}
	}
	a.total = total
}

// drop removes reservations of a cluster: of one object, or of all where none is named.
func (l *ledger) drop(cluster string, done func(Key, *reservation) bool, of ...Key) {
	a := l.clusters[cluster]
	if a == nil {
		return
	}
	one := func(key Key, r *reservation) {
		if done(key, r) {
			a.change(r, -r.replicas)
			delete(a.by, key)
		}
	}
	if len(of) > 0 {
		for _, key := range of {
			if r := a.by[key]; r != nil {
				one(key, r)
			}
		}
	} else {
		for key, r := range a.by {
			one(key, r)
		}
	}
	if len(a.by) == 0 {
		delete(l.clusters, cluster)
	}
}

// purge drops what has lasted long enough, at most once in a while.
func (l *ledger) purge(now time.Time) {
	if now.Sub(l.purged) < time.Second {
		return
	}
	l.purged = now
	for cluster := range l.clusters {
		l.drop(cluster, func(_ Key, r *reservation) bool { return !now.Before(r.until) })
	}
}

// seen is told of a decision's status.
func (l *ledger) seen(key Key, d *federation.PlacementDecision, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.clusters) == 0 {
		return
	}
	for i := range d.Status.Clusters {
		s := &d.Status.Clusters[i]
		a := l.clusters[s.Name]
		if a == nil || a.by[key] == nil || !a.by[key].ready.IsZero() || s.State != federation.StateSynced {
			continue
		}
		for j := range d.Spec.Clusters {
			if p := &d.Spec.Clusters[j]; p.Name == s.Name && p.Replicas != nil && s.ReadyReplicas != nil && *s.ReadyReplicas >= *p.Replicas {
				a.by[key].ready = now
			}
		}
	}
}

// observed is told that what is free in a cluster was observed anew.
func (l *ledger) observed(cluster string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(cluster, func(_ Key, r *reservation) bool { return !r.ready.IsZero() && now.Sub(r.ready) >= observedAfter })
}

// forget drops what is reserved for an object that is gone, or in a cluster that left.
func (l *ledger) forget(key Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for cluster := range l.clusters {
		l.drop(cluster, func(Key, *reservation) bool { return true }, key)
	}
}
