package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Registry holds the live connections to all members. A member is engaged once its Cluster and Secret are usable and
// it has shown the identity that its Cluster names; it stays engaged while it is offline. Another token takes effect in
// place; another server, CA or identity makes a new connection. Safe for concurrent use.
//
//	Clusters, Secrets --> update --> connection --> verify identity --> Engage
type Registry struct {
	ctx  context.Context
	stop context.CancelFunc
	// verifying counts goroutines that verify identities.
	verifying sync.WaitGroup

	// engaging makes each engager see each connection once; held while engagers are called, mu is not.
	engaging sync.Mutex
	engagers []Engager

	mu          sync.Mutex
	connections map[string]*connection
	problems    map[string]error // why a cluster has no connection
	observers   []func(name string)

	follower
}

// NewRegistry makes an empty registry. It comes to life by SetupWithManager.
func NewRegistry() *Registry {
	r := &Registry{connections: map[string]*connection{}, problems: map[string]error{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Get returns the live connection to a cluster, or an error that wraps ErrUnknown.
func (r *Registry) Get(name string) (*Member, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.connections[name]; ok && c.engaged {
		return c.member, nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnknown, name)
}

// Members lists the live connections, in no order.
func (r *Registry) Members() []*Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]*Member, 0, len(r.connections))
	for _, c := range r.connections {
		if c.engaged {
			members = append(members, c.member)
		}
	}
	return members
}

// Add tells e of all members, those that are live now first. It may be called at any time: what must run only on a
// leader adds itself once it leads.
func (r *Registry) Add(e Engager) {
	r.engaging.Lock()
	defer r.engaging.Unlock()
	r.engagers = append(r.engagers, e)
	r.mu.Lock()
	var live []*connection
	for _, c := range r.connections {
		if c.engaged {
			live = append(live, c)
		}
	}
	r.mu.Unlock()
	for _, c := range live {
		e.Engage(c.ctx, c.member)
	}
}

// Start keeps connections until ctx ends, then closes them all and waits for its goroutines.
func (r *Registry) Start(ctx context.Context) error {
	<-ctx.Done()
	r.stop()
	r.mu.Lock()
	for name, c := range r.connections {
		c.close()
		delete(r.connections, name)
	}
	r.mu.Unlock()
	r.verifying.Wait()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica has connections, for what it reads.
func (r *Registry) NeedLeaderElection() bool { return false }

// update makes the connection to a cluster what its Cluster and Secret (nil: there is none) say.
func (r *Registry) update(cluster *federation.Cluster, secret *corev1.Secret) {
	if r.apply(cluster, secret) {
		r.changed(cluster.Name)
	}
}

func (r *Registry) apply(cluster *federation.Cluster, secret *corev1.Secret) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := cluster.Name
	old, problem := r.connections[name], r.problems[name]
	e, token, err := credentials(cluster, secret)
	if err == nil && old != nil && old.endpoint == e {
		changed = *old.token.Load() != token
		old.rotate(token)
		return changed
	}
	if old != nil {
		old.close()
		delete(r.connections, name)
	}
	delete(r.problems, name)
	if err == nil {
		err = r.openLocked(name, e, token)
	}
	if err != nil {
		r.problems[name] = err
		return old != nil || problem == nil || problem.Error() != err.Error()
	}
	return true
}

func (r *Registry) openLocked(name string, e endpoint, token string) error {
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	c, err := connect(r.ctx, name, e, token)
	if err != nil {
		return err
	}
	r.connections[name] = c
	r.verifying.Go(func() { r.verify(c) })
	return nil
}

// remove disengages a cluster. When it returns, the connection's context has ended.
func (r *Registry) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.connections[name]; ok {
		c.close()
		delete(r.connections, name)
	}
	delete(r.problems, name)
}

// doubt replaces a connection behind which another cluster answers: nobody may write there until it has shown the
// right identity again.
func (r *Registry) doubt(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.connections[c.name] != c || !c.engaged {
		return
	}
	c.close()
	delete(r.connections, c.name)
	if err := r.openLocked(c.name, c.endpoint, *c.token.Load()); err != nil {
		r.problems[c.name] = err
	}
}

// connection returns the connection to a cluster, engaged or not. Without one, err says why; both are nil while that
// is not known yet.
func (r *Registry) connection(name string) (*connection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.connections[name], r.problems[name]
}

// observe has f called after each change of a cluster's connection or token.
func (r *Registry) observe(f func(name string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observers = append(r.observers, f)
}

func (r *Registry) changed(name string) {
	r.mu.Lock()
	observers := r.observers
	r.mu.Unlock()
	for _, f := range observers {
		f(name)
	}
}

// verify asks a member who it is until it gives the answer that its Cluster names, then engages it.
func (r *Registry) verify(c *connection) {
	pause := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.6, Jitter: 0.2, Steps: 10, Cap: 3 * time.Second}
	for {
		ctx, cancel := context.WithTimeout(c.ctx, 5*time.Second)
		id, err := c.identity(ctx)
		cancel()
		if err == nil && (c.id == "" || c.id == id) {
			r.engage(c, id)
			return
		}
		timer := time.NewTimer(pause.Step())
		select {
		case <-c.ctx.Done():
		case <-c.nudge:
		case <-timer.C:
		}
		timer.Stop()
		if c.ctx.Err() != nil {
			return
		}
	}
}

func (r *Registry) engage(c *connection, id string) {
	r.engaging.Lock()
	defer r.engaging.Unlock()
	r.mu.Lock()
	current := r.connections[c.name] == c
	if current {
		c.member.ID, c.engaged = id, true
	}
	r.mu.Unlock()
	if !current {
		return
	}
	for _, e := range r.engagers {
		e.Engage(c.ctx, c.member)
	}
	r.changed(c.name)
}
