package observe

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
)

// Families of facts.
const (
	zones     = "zones"
	prices    = "prices"
	balancers = "balancers"
)

// offers are what machines and egress cost in a region.
type offers struct {
	machines map[cloud.Machine]cloud.Price
	// currency is empty where the price of egress is unknown.
	currency     string
	egressPerGiB float64
}

// account is a source with its clients, once it could be opened.
type account struct {
	*Source
	mu      sync.Mutex
	clients *Clients
}

func (a *account) open(ctx context.Context) (Clients, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.clients == nil {
		clients, err := a.Open(ctx)
		if err != nil {
			return Clients{}, err
		}
		a.clients = &clients
	}
	return *a.clients, nil
}

// where is a region as one source knows it.
type where struct{ source, region string }

// place is what is known of a region, and who is there. Its fields are guarded by the Observer's mutex.
type place struct {
	where
	account *account
	cancel  context.CancelFunc
	wake    map[string]chan struct{} // by family

	zones     record[[]cloud.Zone]
	prices    record[offers]
	balancers record[map[string]cloud.Balancer] // by each of their names
	ailing    map[string]int                    // reads in a row in which targets of a balancer failed

	// machines of the clusters that are here, names of their published load balancers.
	machines map[string][]cloud.Machine
	names    map[string][]string
}

func newPlace(of where, a *account) *place {
	p := &place{where: of, account: a, wake: map[string]chan struct{}{}, ailing: map[string]int{}, machines: map[string][]cloud.Machine{}, names: map[string][]string{}}
	for _, family := range []string{zones, prices, balancers} {
		p.wake[family] = make(chan struct{}, 1)
	}
	return p
}

// ask has a family asked now.
func (p *place) ask(family string) {
	select {
	case p.wake[family] <- struct{}{}:
	default:
	}
}

// kinds of machines that are here, each once.
func (p *place) kinds() []cloud.Machine {
	all := sets.New[cloud.Machine]()
	for _, list := range p.machines {
		all.Insert(list...)
	}
	return all.UnsortedList()
}

// enter notes what runs in a cluster here, and says whether that has kinds of machines that nobody asked for yet.
func (p *place) enter(cluster *federation.Cluster) (fresh bool) {
	had := sets.New(p.kinds()...)
	all := sets.New[cloud.Machine]()
	for _, m := range cluster.Status.Machines {
		// What else there is of the type is what the cluster could run on.
		for _, zone := range append([]string{m.Zone}, cluster.Status.Zones...) {
			all.Insert(cloud.Machine{Type: m.Type, Zone: zone}, cloud.Machine{Type: m.Type, Zone: zone, Spot: true})
		}
	}
	p.machines[cluster.Name] = all.UnsortedList()
	return !had.IsSuperset(all)
}

// errNothing says that a source has nothing to tell of a family.
var errNothing = errors.New("the source has no such facts")

// family is how facts of one kind are asked for and kept.
type family[T any] struct {
	name   string
	period time.Duration
	// timeout bounds each question with its pages and retries.
	timeout time.Duration
	call    func(context.Context, Clients) (T, error)
	record  func(*place) *record[T]
	kept    func(*place) // called with the mutex held after each answer; may be nil
}

// follow asks again and again until ctx ends. Each family of each place has a goroutine: none waits for another.
func follow[T any](ctx context.Context, o *Observer, p *place, f family[T]) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake[f.name]:
		case <-timer.C:
		}
		began := time.Now()
		value, err := attempt(ctx, p.account, f)
		if ctx.Err() != nil || errors.Is(err, errNothing) {
			return
		}
		now := time.Now()
		callSeconds.WithLabelValues(p.source, f.name, resultOf(err)).Observe(now.Sub(began).Seconds())
		o.mu.Lock()
		r := f.record(p)
		*r = r.read(value, err, now)
		if err == nil && f.kept != nil {
			f.kept(p)
		}
		pause := r.pause(f.period)
		if err == nil {
			factRead.WithLabelValues(p.source, p.region, f.name).Set(float64(now.Unix()))
		}
		o.mu.Unlock()
		o.tell(ctx, p, f.name)
		timer.Reset(pause)
	}
}

// attempt asks once, with a deadline of its own.
func attempt[T any](ctx context.Context, a *account, f family[T]) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	clients, err := a.open(bounded)
	if err != nil {
		var none T
		return none, err
	}
	return f.call(bounded, clients)
}
