package endpoint

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
)

var gatewayResource = schema.GroupVersionResource{Group: gatewayGroup, Version: "v1", Resource: "gateways"}

// follower watches one member over one connection, and tells what the federation's Services, Ingresses and Gateways are there.
// Everything is selected by the federation's label, which kube-controller-manager copies from Services to their EndpointSlices.
type follower struct {
	ctx      context.Context
	member   *cluster.Member
	clients  kubernetes.Interface
	selector string
	// told is given what changed, nil for what is gone; all is given everything of a kind after each list, nil for what is not
	// known yet. Both are called in order.
	told func(Key, *served)
	all  func(schema.GroupKind, map[Key]*served)

	mu        sync.Mutex
	services  *table[service]
	slices    *table[slice]
	ingresses *table[ingress]
	gateways  *table[gateway]                                 // nil until the member serves them
	nodes     *table[node]                                    // nil until a Service needs them
	behind    map[types.NamespacedName][]types.NamespacedName // slices of a Service
	before    map[types.NamespacedName][]types.NamespacedName // Ingresses to a Service
}

// follow prepares to watch; start begins.
func follow(ctx context.Context, m *cluster.Member, federationName string, told func(Key, *served), all func(schema.GroupKind, map[Key]*served)) (*follower, error) {
	config := rest.CopyConfig(m.Config)
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	f := &follower{
		ctx: ctx, member: m, clients: clients, selector: federation.LabelFederation + "=" + federationName, told: told, all: all,
		behind: map[types.NamespacedName][]types.NamespacedName{}, before: map[types.NamespacedName][]types.NamespacedName{},
	}
	f.services = newTable(&f.mu, trimService, sameService)
	f.slices = newTable(&f.mu, trimSlice, sameSlice)
	f.ingresses = newTable(&f.mu, trimIngress, sameIngress)
	f.services.changed, f.slices.changed, f.ingresses.changed = f.servicesChanged, f.slicesChanged, f.ingressesChanged
	return f, nil
}

func (f *follower) start() {
	run(f, f.services, &corev1.Service{}, listing(f.clients.CoreV1().Services("").List), f.clients.CoreV1().Services("").Watch, f.selector)
	run(f, f.slices, &discoveryv1.EndpointSlice{}, listing(f.clients.DiscoveryV1().EndpointSlices("").List), f.clients.DiscoveryV1().EndpointSlices("").Watch, f.selector)
	run(f, f.ingresses, &networkingv1.Ingress{}, listing(f.clients.NetworkingV1().Ingresses("").List), f.clients.NetworkingV1().Ingresses("").Watch, f.selector)
}

// serveGateways begins to watch Gateways: the member has that API by now. It may be called again.
func (f *follower) serveGateways() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gateways != nil {
		return
	}
	f.gateways = newTable(&f.mu, trimGateway, sameGateway)
	f.gateways.changed = f.gatewaysChanged
	all := f.member.Dynamic.Resource(gatewayResource)
	list := func(ctx context.Context, o metav1.ListOptions) (*unstructured.UnstructuredList, error) {
		return all.List(ctx, o)
	}
	example := &unstructured.Unstructured{}
	example.SetGroupVersionKind(gatewayResource.GroupVersion().WithKind("Gateway"))
	run(f, f.gateways, example, listing(list), all.Watch, f.selector)
}

// needNodesLocked begins to watch nodes, with the mutex held.
func (f *follower) needNodesLocked() {
	if f.nodes != nil {
		return
	}
	f.nodes = newTable(&f.mu, trimNode, sameNode)
	f.nodes.changed = f.nodesChanged
	run(f, f.nodes, &corev1.Node{}, listing(f.clients.CoreV1().Nodes().List), f.clients.CoreV1().Nodes().Watch, "")
}

func listing[L runtime.Object](list func(context.Context, metav1.ListOptions) (L, error)) func(context.Context, metav1.ListOptions) (runtime.Object, error) {
	return func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) }
}

func run[T any](f *follower, t *table[T], example client.Object, list func(context.Context, metav1.ListOptions) (runtime.Object, error),
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error), selector string) {
	reflector := cache.NewReflectorWithOptions(patient(selector, list, watch), example, t, cache.ReflectorOptions{Name: "endpoints in " + f.member.Name, Backoff: again()})
	go reflector.RunWithContext(f.ctx)
}

func (f *follower) servicesChanged(changes []change[service], listed bool) {
	if listed {
		f.listed()
		return
	}
	for _, c := range changes {
		f.tellService(c.name)
		f.tellIngressesTo(c.name)
	}
}

func (f *follower) slicesChanged(changes []change[slice], listed bool) {
	for _, c := range changes {
		index(f.behind, c, func(s slice) []string { return []string{s.service} })
	}
	if listed {
		f.listed()
		return
	}
	for _, c := range changes {
		for _, s := range []*slice{c.was, c.now} {
			if name := c.name; s != nil {
				name.Name = s.service
				f.tellService(name)
				f.tellIngressesTo(name)
			}
		}
	}
}

func (f *follower) ingressesChanged(changes []change[ingress], listed bool) {
	for _, c := range changes {
		index(f.before, c, func(i ingress) []string { return i.backends })
	}
	if listed {
		f.listed()
		return
	}
	for _, c := range changes {
		f.tellIngress(c.name)
	}
}

func (f *follower) gatewaysChanged(changes []change[gateway], listed bool) {
	if listed {
		f.listed()
		return
	}
	for _, c := range changes {
		key := keyOf(gatewayKind, c.name)
		if c.now == nil {
			f.tell(key, nil)
			continue
		}
		s := serveGateway(*c.now)
		f.tell(key, &s)
	}
}

func (f *follower) nodesChanged([]change[node], bool) {
	for name, s := range f.services.rows {
		if s.nodes {
			f.tellService(name)
		}
	}
}

// index keeps, under the name of each Service that a row points to, the names of such rows.
func index[T any](of map[types.NamespacedName][]types.NamespacedName, c change[T], services func(T) []string) {
	at := func(service string) types.NamespacedName {
		return types.NamespacedName{Namespace: c.name.Namespace, Name: service}
	}
	if c.was != nil {
		for _, s := range services(*c.was) {
			if rest := slices.DeleteFunc(of[at(s)], func(n types.NamespacedName) bool { return n == c.name }); len(rest) > 0 {
				of[at(s)] = rest
			} else {
				delete(of, at(s))
			}
		}
	}
	if c.now != nil {
		for _, s := range services(*c.now) {
			of[at(s)] = append(of[at(s)], c.name)
		}
	}
}

func (f *follower) slicesOf(service types.NamespacedName) (all []slice) {
	for _, name := range f.behind[service] {
		all = append(all, f.slices.rows[name])
	}
	return all
}

// service says how a Service is served; known is false until everything about it was read once.
func (f *follower) service(name types.NamespacedName) (s *served, known bool) {
	row, has := f.services.rows[name]
	if !f.services.synced || !f.slices.synced {
		return nil, false
	}
	if !has {
		return nil, true
	}
	var nodes map[types.NamespacedName]node
	if row.exposed && row.nodes {
		if f.needNodesLocked(); !f.nodes.synced {
			return nil, false
		}
		nodes = f.nodes.rows
	}
	out, exposed := serveService(name, row, f.slicesOf(name), nodes)
	if !exposed {
		return nil, true
	}
	return &out, true
}

func (f *follower) ingress(name types.NamespacedName) (s *served, known bool) {
	row, has := f.ingresses.rows[name]
	if !f.ingresses.synced || !f.services.synced || !f.slices.synced {
		return nil, false
	}
	if !has {
		return nil, true
	}
	out := serveIngress(row, func(service string) ([]slice, bool) {
		of := types.NamespacedName{Namespace: name.Namespace, Name: service}
		_, known := f.services.rows[of]
		return f.slicesOf(of), known
	})
	return &out, true
}

func (f *follower) tellService(name types.NamespacedName) {
	if s, known := f.service(name); known {
		f.tell(keyOf(serviceKind, name), s)
	}
}

func (f *follower) tellIngress(name types.NamespacedName) {
	if s, known := f.ingress(name); known {
		f.tell(keyOf(ingressKind, name), s)
	}
}

func (f *follower) tellIngressesTo(service types.NamespacedName) {
	for _, name := range f.before[service] {
		f.tellIngress(name)
	}
}

func (f *follower) tell(key Key, s *served) {
	if f.ctx.Err() == nil { // else another follower may speak by now
		f.told(key, s)
	}
}

// listed tells everything anew of the kinds of which all was read.
func (f *follower) listed() {
	if f.ctx.Err() != nil {
		return
	}
	if f.services.synced && f.slices.synced {
		f.all(serviceKind, gather(serviceKind, f.services.rows, f.service))
		if f.ingresses.synced {
			f.all(ingressKind, gather(ingressKind, f.ingresses.rows, f.ingress))
		}
	}
	if f.gateways != nil && f.gateways.synced {
		f.all(gatewayKind, gather(gatewayKind, f.gateways.rows, func(name types.NamespacedName) (*served, bool) {
			s := serveGateway(f.gateways.rows[name])
			return &s, true
		}))
	}
}

// gather serves all rows of a kind. What is not served outside its cluster is left out; nil is what is not known yet.
func gather[T any](kind schema.GroupKind, rows map[types.NamespacedName]T, serve func(types.NamespacedName) (*served, bool)) map[Key]*served {
	out := map[Key]*served{}
	for name := range rows {
		if s, known := serve(name); s != nil || !known {
			out[keyOf(kind, name)] = s
		}
	}
	return out
}
