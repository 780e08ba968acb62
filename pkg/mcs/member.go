package mcs

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientcache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
)

var (
	serviceGVR = corev1.SchemeGroupVersion.WithResource("services")
	sliceGVR   = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
	importGVR  = schema.GroupVersionResource{Group: mcsv1.GroupName, Version: "v1beta1", Resource: "serviceimports"}
)

const (
	memberWorkers   = 2
	requestDeadline = 15 * time.Second
)

// member is what is read of one cluster, and a queue of imports to bring there. Its copies are what it exports, its imports what
// the federation made in it.
type member struct {
	*cluster.Member
	engaged context.Context // of the connection
	ctx     context.Context
	cancel  context.CancelFunc
	away    bool   // it was not ready since; the controller's
	name    string // the federation's
	wanted  func(types.NamespacedName) (desired, bool)
	changed func(types.NamespacedName)
	queue   workqueue.TypedRateLimitingInterface[types.NamespacedName]

	once    sync.Once
	copies  cache.Cache
	imports cache.Cache
	mu      sync.Mutex
	synced  bool
	defined bool // serviceimports are served
}

func newMember(ctx context.Context, m *cluster.Member, name string, wanted func(types.NamespacedName) (desired, bool), changed func(types.NamespacedName)) *member {
	engaged := ctx
	ctx, cancel := context.WithCancel(ctx)
	return &member{Member: m, engaged: engaged, ctx: ctx, cancel: cancel, name: name, wanted: wanted, changed: changed,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](time.Second, 2*time.Minute))}
}

// start begins to watch the member and to bring imports to it, once, until its context ends.
func (m *member) start() {
	m.once.Do(func() {
		if err := m.watch(); err != nil {
			log.FromContext(m.ctx).Error(err, "watching exported services", "cluster", m.Name)
			return
		}
		go func() {
			<-m.ctx.Done()
			m.queue.ShutDown()
		}()
		for range memberWorkers {
			go m.work()
		}
	})
}

// ready says whether the member was read as a whole once.
func (m *member) ready() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.synced
}

func (m *member) watch() error {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(discoveryv1.AddToScheme(scheme))
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Service"), meta.RESTScopeNamespace)
	mapper.Add(discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), meta.RESTScopeNamespace)
	open := func(label, service string) (cache.Cache, error) {
		c, err := cache.New(m.Config, cache.Options{Scheme: scheme, Mapper: mapper,
			DefaultLabelSelector: labels.SelectorFromSet(labels.Set{label: m.name}), DefaultTransform: cache.TransformStripManagedFields()})
		if err != nil {
			return nil, err
		}
		tell := func(obj any) {
			if gone, ok := obj.(clientcache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			o, ok := obj.(client.Object)
			if !ok {
				return
			}
			name := o.GetLabels()[service]
			if _, isService := obj.(*corev1.Service); isService && label == federation.LabelFederation {
				name = o.GetName()
			}
			if name != "" {
				m.changed(types.NamespacedName{Namespace: o.GetNamespace(), Name: name})
			}
		}
		for _, kind := range []client.Object{&corev1.Service{}, &discoveryv1.EndpointSlice{}} {
			informer, err := c.GetInformer(m.ctx, kind, cache.BlockUntilSynced(false))
			if err != nil {
				return nil, err
			}
			if _, err := informer.AddEventHandler(clientcache.ResourceEventHandlerFuncs{
				AddFunc: tell, DeleteFunc: tell, UpdateFunc: func(old, now any) {
					if o, ok := old.(client.Object); ok && o.GetResourceVersion() == now.(client.Object).GetResourceVersion() {
						return
					}
					tell(now)
				},
			}); err != nil {
				return nil, err
			}
		}
		return c, nil
	}
	var err error
	if m.copies, err = open(federation.LabelFederation, discoveryv1.LabelServiceName); err != nil {
		return err
	}
	if m.imports, err = open(LabelImport, mcsv1.LabelServiceName); err != nil {
		return err
	}
	for _, c := range []cache.Cache{m.copies, m.imports} {
		go func() {
			if err := c.Start(m.ctx); err != nil {
				log.FromContext(m.ctx).Error(err, "watching exported services", "cluster", m.Name)
			}
		}()
	}
	go m.follow()
	return nil
}

// follow tells of everything that is there once the member has been read.
func (m *member) follow() {
	if !m.copies.WaitForCacheSync(m.ctx) || !m.imports.WaitForCacheSync(m.ctx) {
		return
	}
	m.mu.Lock()
	m.synced = true
	m.mu.Unlock()
	m.changed(types.NamespacedName{})
	var made discoveryv1.EndpointSliceList
	var services corev1.ServiceList
	if m.imports.List(m.ctx, &made) != nil || m.imports.List(m.ctx, &services) != nil {
		return
	}
	for _, s := range made.Items {
		m.changed(types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[mcsv1.LabelServiceName]})
	}
	for _, s := range services.Items {
		m.changed(types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[mcsv1.LabelServiceName]})
	}
}

// export is what the member exports under a name; ok is false where it has no copy of the Service. It is to be asked once the
// member is ready.
func (m *member) export(ctx context.Context, key types.NamespacedName) (e export, ok bool) {
	var s corev1.Service
	if err := m.copies.Get(ctx, key, &s); err != nil || s.DeletionTimestamp != nil {
		return export{}, false
	}
	e = export{cluster: m.Name, created: s.CreationTimestamp.Time, spec: s.Spec}
	for _, i := range s.Status.LoadBalancer.Ingress {
		if usable(i.IP) {
			e.balancer = append(e.balancer, i.IP)
		}
	}
	var list discoveryv1.EndpointSliceList
	if err := m.copies.List(ctx, &list, client.InNamespace(key.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: key.Name}); err != nil {
		return e, true
	}
	for _, s := range list.Items {
		if part, ok := endpointsOf(&s); ok {
			e.endpoints = append(e.endpoints, part)
		}
	}
	return e, true
}

func endpointsOf(s *discoveryv1.EndpointSlice) (endpoints, bool) {
	if s.AddressType != discoveryv1.AddressTypeIPv4 && s.AddressType != discoveryv1.AddressTypeIPv6 {
		return endpoints{}, false
	}
	part := endpoints{family: string(s.AddressType)}
	for _, p := range s.Ports {
		if p.Port == nil {
			continue
		}
		port := endpointPort{app: p.AppProtocol, port: *p.Port, protocol: corev1.ProtocolTCP}
		if p.Name != nil {
			port.name = *p.Name
		}
		if p.Protocol != nil {
			port.protocol = *p.Protocol
		}
		part.ports = append(part.ports, port)
	}
	is := func(b *bool, otherwise bool) bool {
		if b == nil {
			return otherwise
		}
		return *b
	}
	for _, d := range s.Endpoints {
		point := endpoint{addresses: d.Addresses, ready: is(d.Conditions.Ready, true), leaving: is(d.Conditions.Terminating, false)}
		point.serving = is(d.Conditions.Serving, point.ready)
		if d.Hostname != nil {
			point.hostname = *d.Hostname
		}
		if d.Zone != nil {
			point.zone = *d.Zone
		}
		part.of = append(part.of, point)
	}
	return part, true
}

func (m *member) work() {
	for {
		key, stop := m.queue.Get()
		if stop {
			return
		}
		ctx, cancel := context.WithTimeout(m.ctx, requestDeadline)
		err := m.bring(ctx, key)
		cancel()
		if err != nil && m.ctx.Err() == nil {
			log.FromContext(m.ctx).V(1).Info("importing a service", "cluster", m.Name, "service", key.String(), "cause", err.Error())
			m.queue.AddRateLimited(key)
		} else {
			m.queue.Forget(key)
		}
		m.queue.Done(key)
	}
}

// bring makes the member hold what is wanted under a name.
func (m *member) bring(ctx context.Context, key types.NamespacedName) error {
	want, known := m.wanted(key)
	if !known || !m.ready() {
		return nil
	}
	kept := map[string]bool{}
	if want.spec != nil {
		if err := m.serviceImport(ctx, key, want); err != nil {
			return err
		}
		if want.spec.Type == mcsv1.ClusterSetIP {
			kept[derivedName(key.Name)] = true
			if err := m.service(ctx, derived(m.name, key.Namespace, key.Name, *want.spec)); err != nil {
				return err
			}
		}
		for _, e := range want.exports {
			for _, s := range imported(m.name, key.Namespace, key.Name, m.Name, want.spec.Type == mcsv1.Headless, e) {
				kept[s.Name] = true
				if err := m.slice(ctx, s); err != nil {
					return err
				}
			}
		}
	}
	if err := m.prune(ctx, key, want, kept); err != nil {
		return err
	}
	if want.spec == nil {
		return m.removeImport(ctx, key)
	}
	return nil
}

// prune removes what was made for an import and is not wanted any more. Endpoints of a cluster that can't be read stay.
func (m *member) prune(ctx context.Context, key types.NamespacedName, want desired, kept map[string]bool) error {
	of := []client.ListOption{client.InNamespace(key.Namespace), client.MatchingLabels{mcsv1.LabelServiceName: key.Name}}
	var made discoveryv1.EndpointSliceList
	if err := m.imports.List(ctx, &made, of...); err != nil {
		return err
	}
	for _, s := range made.Items {
		if kept[s.Name] || want.spec != nil && want.unknown[s.Labels[mcsv1.LabelSourceCluster]] {
			continue
		}
		if err := m.remove(ctx, sliceGVR, &s); err != nil {
			return err
		}
	}
	var services corev1.ServiceList
	if err := m.imports.List(ctx, &services, of...); err != nil {
		return err
	}
	for _, s := range services.Items {
		if !kept[s.Name] {
			if err := m.remove(ctx, serviceGVR, &s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *member) remove(ctx context.Context, gvr schema.GroupVersionResource, o client.Object) error {
	uid := o.GetUID()
	err := m.Dynamic.Resource(gvr).Namespace(o.GetNamespace()).Delete(ctx, o.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	return client.IgnoreNotFound(err)
}

func (m *member) service(ctx context.Context, want *corev1.Service) error {
	var have corev1.Service
	if err := m.imports.Get(ctx, client.ObjectKeyFromObject(want), &have); err == nil &&
		len(have.Spec.Ports) == len(want.Spec.Ports) && len(have.Spec.ExternalIPs) == len(want.Spec.ExternalIPs) &&
		equality.Semantic.DeepDerivative(want.Spec, have.Spec) && maps.Equal(want.Labels, have.Labels) {
		return nil
	}
	return m.apply(ctx, serviceGVR, want)
}

func (m *member) slice(ctx context.Context, want *discoveryv1.EndpointSlice) error {
	var have discoveryv1.EndpointSlice
	if err := m.imports.Get(ctx, client.ObjectKeyFromObject(want), &have); err == nil &&
		equality.Semantic.DeepEqual(want.Endpoints, have.Endpoints) && equality.Semantic.DeepEqual(want.Ports, have.Ports) && maps.Equal(want.Labels, have.Labels) {
		return nil
	}
	return m.apply(ctx, sliceGVR, want)
}

// apply writes an object as the federation wants it.
func (m *member) apply(ctx context.Context, gvr schema.GroupVersionResource, o client.Object) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "status")
	_, err = m.Dynamic.Resource(gvr).Namespace(o.GetNamespace()).Apply(ctx, o.GetName(), u, metav1.ApplyOptions{FieldManager: federation.FieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("applying %s %s to cluster %s: %w", gvr.Resource, o.GetName(), m.Name, err)
	}
	return nil
}

func notFound(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }
