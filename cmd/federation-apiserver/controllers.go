package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	mcsv1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/apiserver"
	"kubefed.dev/kubefed/pkg/cloud/observe"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/dns/publish"
	"kubefed.dev/kubefed/pkg/endpoint"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/mcs"
	"kubefed.dev/kubefed/pkg/placement"
	"kubefed.dev/kubefed/pkg/sync"
	"kubefed.dev/kubefed/pkg/witness"
)

// controller is one of the federation's own controllers. start registers it with the environment's manager; nothing
// runs before every controller has been registered and the lease is held.
type controller struct {
	name  string
	start func(ctx context.Context, env *Environment) error
}

// controllers is the table of the federation's own controllers, in the order in which they are registered.
var controllers = []controller{
	{name: "cluster", start: startCluster},
	{name: "endpoint", start: startEndpoint},
	{name: "cloud", start: startCloud},
	{name: "placement", start: startPlacement},
	{name: "sync", start: startSync},
	{name: "dns", start: startDNS},
	{name: "mcs", start: startMCS},
	{name: "drill", start: startDrill},
}

// Environment is what the federation's controllers share: one cache, one catalog of kinds, one manager that runs them
// while this process holds the lease.
type Environment struct {
	options *controllerOptions
	// Manager runs what is added to it once the lease is held.
	Manager manager.Manager
	// Config reaches the federation API without a client-side rate limit. Its user agent is nobody's: use ConfigFor.
	Config *rest.Config
	// Client reads from Cache and writes to the federation API, as "manager". Objects read are shared: copy before
	// changing.
	Client client.Client
	// Cache holds what anyone watches, once.
	Cache cache.Cache
	// Discovery asks the federation API which kinds it serves.
	Discovery discovery.DiscoveryInterface
	// Registry holds the connections to members.
	Registry *cluster.Registry
	// Endpoints knows where members serve federated objects, and whether they answer.
	Endpoints *endpoint.Collector
	// Catalog follows the objects of every federatable kind. Add handlers in start; it is started afterwards.
	Catalog *kind.Catalog
	// Witnesses are those in members, and what they see.
	Witnesses *witness.Panel
	// Clouds know how the places are where members are.
	Clouds *observe.Observer
	// Federation is the federation's name.
	Federation string
	// Fence is under which DNS zones are written.
	Fence *publish.Fence
}

// ConfigFor is Config with a user agent that tells whose requests they are.
func (e *Environment) ConfigFor(component string) *rest.Config {
	return rest.AddUserAgent(rest.CopyConfig(e.Config), component)
}

// ClientFor is Client with a user agent that tells whose requests they are.
func (e *Environment) ClientFor(component string) (client.Client, error) {
	return client.New(e.ConfigFor(component), client.Options{
		Scheme: e.Manager.GetScheme(),
		Mapper: e.Manager.GetRESTMapper(),
		Cache:  &client.CacheOptions{Reader: e.Cache, Unstructured: true},
	})
}

type controllerOptions struct {
	selected    []string
	leaderElect bool
	identity    string
	lease       leaseDurations
	signing     apiserver.SigningFiles
	cluster     cluster.Options
	sync        sync.Options
	placement   placement.Options
	dns         dnsOptions
	clouds      cloudOptions
	// zones are open when the controllers begin.
	zones *zones
	// clusterSetRange is where clusterset IPs come from.
	clusterSetRange string
	// running is true while there is a manager that runs the controllers, or waits for the lease to do so.
	running atomic.Bool
}

type leaseDurations struct{ duration, renew, retry time.Duration }

func newControllerOptions() *controllerOptions {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "unknown"
	}
	return &controllerOptions{
		selected:        []string{"*"},
		clusterSetRange: mcs.DefaultRange,
		leaderElect:     true,
		identity:        hostname + "_" + string(uuid.NewUUID()),
		lease:           leaseDurations{duration: 15 * time.Second, renew: 10 * time.Second, retry: 2 * time.Second},
	}
}

func (o *controllerOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.selected, "controllers", o.selected,
		"Controllers to run: '*' means all, 'foo' means foo, '-foo' means all but foo, nothing means none. All: "+strings.Join(controllerNames(), ", ")+".")
	o.cluster.AddFlags(fs)
	o.sync.AddFlags(fs)
	o.placement.AddFlags(fs)
	o.dns.addFlags(fs)
	o.clouds.addFlags(fs)
	fs.StringVar(&o.clusterSetRange, "clusterset-ip-range", o.clusterSetRange, "IPv4 range of the addresses of exported Services, in CIDR notation. No cluster may use it for anything else.")
	fs.BoolVar(&o.leaderElect, "leader-elect", o.leaderElect, "Run the controllers only while this process holds the Lease "+federation.SystemNamespace+"/"+federation.ControllersLease+".")
}

// soleOwner is for a process that has its etcd inside: no other can hold the lease at the same time, so it takes over at
// once after a crash, and need not renew often.
func (o *controllerOptions) soleOwner() {
	o.identity = "embedded"
	o.lease = leaseDurations{duration: 60 * time.Second, renew: 40 * time.Second, retry: 15 * time.Second}
}

// awaitTurn is for a process that may be one of several: a zone that it never wrote, and maybe another one does, is not answered before
// this one has.
func (o *controllerOptions) awaitTurn() error {
	if !o.leaderElect {
		return nil
	}
	return o.zones.standBy(true)
}

func controllerNames() []string {
	var names []string
	for _, c := range controllers {
		names = append(names, c.name)
	}
	for _, h := range apiserver.Housekeepers() {
		names = append(names, h.Name)
	}
	return names
}

func (o *controllerOptions) validate() error {
	var errs []error
	known := controllerNames()
	for _, name := range o.selected {
		if name != "*" && !slices.Contains(known, strings.TrimPrefix(name, "-")) {
			errs = append(errs, fmt.Errorf("--controllers: there is no controller %q: choose from %s", name, strings.Join(known, ", ")))
		}
	}
	if r, err := netip.ParsePrefix(o.clusterSetRange); err != nil || !r.Addr().Is4() || r.Bits() > 30 {
		errs = append(errs, fmt.Errorf("--clusterset-ip-range=%s: write an IPv4 range such as %s", o.clusterSetRange, mcs.DefaultRange))
	}
	return errors.Join(append(errs, o.clouds.validate())...)
}

// enabled says whether a controller is selected, as kube-controller-manager does: what is named wins over '*'.
func (o *controllerOptions) enabled(name string) bool {
	switch {
	case slices.Contains(o.selected, "-"+name):
		return false
	case slices.Contains(o.selected, name):
		return true
	}
	return slices.Contains(o.selected, "*")
}

// run runs the selected controllers until ctx ends. Losing the lease is no reason to end the process, which may serve
// the API: the controllers are stopped and started anew once the lease is back.
func (o *controllerOptions) run(ctx context.Context, config *rest.Config) error {
	if err := o.validate(); err != nil {
		return err
	}
	if !slices.ContainsFunc(controllerNames(), o.enabled) {
		o.running.Store(true) // as many as were asked for
		<-ctx.Done()
		return nil
	}
	for {
		err := o.runOnce(ctx, config)
		if ctx.Err() != nil {
			return nil
		}
		klog.FromContext(ctx).Error(err, "controllers ended, starting them again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.lease.retry):
		}
	}
}

func (o *controllerOptions) runOnce(ctx context.Context, config *rest.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	env, err := o.environment(ctx, config)
	if err != nil {
		return err
	}
	for _, c := range controllers {
		if !o.enabled(c.name) {
			continue
		}
		if err := c.start(ctx, env); err != nil {
			return fmt.Errorf("starting controller %s: %w", c.name, err)
		}
	}
	if slices.ContainsFunc(controllers, func(c controller) bool { return o.enabled(c.name) }) {
		if err := env.Manager.Add(env.Catalog); err != nil {
			return err
		}
	}
	keepers := slices.DeleteFunc(apiserver.Housekeepers(), func(h apiserver.Housekeeper) bool { return !o.enabled(h.Name) })
	if err := env.Manager.Add(manager.RunnableFunc(func(ctx context.Context) error {
		return apiserver.RunHousekeeping(ctx, env.Config, o.signing, keepers)
	})); err != nil {
		return err
	}
	o.running.Store(true)
	defer o.running.Store(false)
	return env.Manager.Start(ctx)
}

// environment builds what the controllers share.
func (o *controllerOptions) environment(ctx context.Context, restConfig *rest.Config) (*Environment, error) {
	restConfig = rest.CopyConfig(restConfig)
	restConfig.QPS = -1
	// The server's own config asks for protobuf, which the federation's kinds have not; clients choose for each kind.
	restConfig.ContentType, restConfig.AcceptContentTypes = "", ""
	scheme := runtime.NewScheme()
	utilruntime.Must(clientscheme.AddToScheme(scheme))
	utilruntime.Must(federation.AddToScheme(scheme))
	utilruntime.Must(mcsv1.Install(scheme))
	lock, err := o.lock(restConfig)
	if err != nil {
		return nil, err
	}
	mgr, err := manager.New(rest.AddUserAgent(rest.CopyConfig(restConfig), "manager"), manager.Options{
		Scheme: scheme,
		Logger: klog.FromContext(ctx),
		Cache: cache.Options{
			DefaultTransform:             sync.Trim(),
			DefaultUnsafeDisableDeepCopy: ptr.To(true),
		},
		Client:                              client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics:                             metricsserver.Options{BindAddress: "0"}, // served by the API server
		HealthProbeBindAddress:              "0",
		LeaderElection:                      o.leaderElect,
		LeaderElectionID:                    federation.ControllersLease, // names the metric; the lock is ours
		LeaderElectionNamespace:             federation.SystemNamespace,
		LeaderElectionReleaseOnCancel:       true,
		LeaderElectionResourceLockInterface: lock,
		LeaseDuration:                       &o.lease.duration,
		RenewDeadline:                       &o.lease.renew,
		RetryPeriod:                         &o.lease.retry,
		// The names of controllers were taken by the manager that ran before this one.
		Controller:              config.Controller{SkipNameValidation: ptr.To(true)},
		GracefulShutdownTimeout: ptr.To(5 * time.Second),
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the controllers: %w", err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(rest.AddUserAgent(rest.CopyConfig(restConfig), "catalog"))
	if err != nil {
		return nil, err
	}
	name, err := federationName(ctx, mgr.GetAPIReader())
	if err != nil {
		return nil, err
	}
	registry := cluster.NewRegistry()
	if err := registry.SetupWithManager(mgr); err != nil {
		return nil, fmt.Errorf("preparing the connections to members: %w", err)
	}
	sources, err := o.clouds.sources()
	if err != nil {
		return nil, err
	}
	endpoints := endpoint.New(name, endpoint.Options{})
	return &Environment{
		options: o, Registry: registry, Endpoints: endpoints, Witnesses: witness.New(),
		Clouds: observe.New(sources, observe.Options{Period: o.clouds.zonePeriod, PricePeriod: o.clouds.pricePeriod,
			Published: endpoints.Places, Fares: endpoints.Fares}),
		Manager: mgr, Config: restConfig, Client: mgr.GetClient(), Cache: mgr.GetCache(), Discovery: d,
		Catalog: kind.NewCatalog(d, mgr.GetCache()), Federation: name,
		Fence: publish.NewFence(mgr.GetAPIReader(), mgr.GetClient(), name, o.identity, o.leaderElect),
	}, nil
}

// federationName reads what the API server wrote down of its federation.
func federationName(ctx context.Context, reader client.Reader) (string, error) {
	var info corev1.ConfigMap
	key := client.ObjectKey{Namespace: federation.SystemNamespace, Name: federation.InfoConfigMap}
	if err := reader.Get(ctx, key, &info); err != nil {
		return "", fmt.Errorf("reading which federation this is from ConfigMap %s: %w", key, err)
	}
	return info.Data[federation.InfoName], nil
}

func (o *controllerOptions) lock(restConfig *rest.Config) (resourcelock.Interface, error) {
	leaseClient, err := kubernetes.NewForConfig(rest.AddUserAgent(rest.CopyConfig(restConfig), "leader-election"))
	if err != nil {
		return nil, err
	}
	return resourcelock.New(resourcelock.LeasesResourceLock, federation.SystemNamespace, federation.ControllersLease,
		leaseClient.CoreV1(), leaseClient.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: o.identity})
}
