package apiserver

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsscheme "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/scheme"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	validatingadmissionpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	quotageneric "k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/approver"
	"k8s.io/kubernetes/pkg/controller/certificates/cleaner"
	"k8s.io/kubernetes/pkg/controller/certificates/signer"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/resourcequota"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
	"k8s.io/kubernetes/pkg/controller/validatingadmissionpolicystatus"
	"k8s.io/kubernetes/pkg/generated/openapi"
	quotacore "k8s.io/kubernetes/pkg/quota/v1/evaluator/core"
	quotainstall "k8s.io/kubernetes/pkg/quota/v1/install"
)

// Housekeeper is one of Kubernetes' own controllers without which the API is not whole, by the name that
// kube-controller-manager gives it.
type Housekeeper struct {
	Name string
	// build makes the controller, which registers its informers, and returns what runs it until the context ends.
	build func(ctx context.Context, h *house, config *rest.Config) (func(context.Context), error)
}

// Housekeepers lists them. The project's own kinds of controllers are not among them.
func Housekeepers() []Housekeeper {
	return []Housekeeper{
		{"namespace-controller", buildNamespace},
		{"garbage-collector-controller", buildGarbageCollector},
		{"resourcequota-controller", buildQuota},
		{"serviceaccount-controller", buildServiceAccount},
		{"clusterrole-aggregation-controller", buildRoleAggregation},
		{"certificatesigningrequest-approving-controller", buildApprover},
		{"certificatesigningrequest-signing-controller", buildSigner},
		{"certificatesigningrequest-cleaner-controller", buildCleaner},
		{"validatingadmissionpolicy-status-controller", buildPolicyStatus},
	}
}

// house is what housekeepers share.
type house struct {
	signing  SigningFiles
	typed    informers.SharedInformerFactory
	metadata metadatainformer.SharedInformerFactory
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	started  chan struct{} // closed when the informers registered so far have been started
}

const (
	resync = 12 * time.Hour
	// rediscover is how long a new kind may be unknown to garbage collection and quota.
	rediscover = 30 * time.Second
)

// RunHousekeeping runs the given housekeepers until ctx ends. Each uses a user agent of its own. It returns an error
// only where one could not be built.
func RunHousekeeping(ctx context.Context, config *rest.Config, signing SigningFiles, keepers []Housekeeper) error {
	h, err := newHouse(config, signing)
	if err != nil {
		return err
	}
	var runs []func(context.Context)
	for _, keeper := range keepers {
		ctx := klog.NewContext(ctx, klog.FromContext(ctx).WithName(keeper.Name))
		run, err := keeper.build(ctx, h, rest.AddUserAgent(rest.CopyConfig(config), keeper.Name))
		if err != nil {
			return fmt.Errorf("building %s: %w", keeper.Name, err)
		}
		if run != nil {
			runs = append(runs, func(context.Context) { run(ctx) })
		}
	}
	h.Start(ctx.Done())
	close(h.started)
	together(append(runs, func(ctx context.Context) { h.refreshMapper(ctx) })...)(ctx)
	h.typed.Shutdown()
	h.metadata.Shutdown()
	return nil
}

func newHouse(config *rest.Config, signing SigningFiles) (*house, error) {
	config = rest.AddUserAgent(rest.CopyConfig(config), "housekeeping-informers")
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &house{
		signing:  signing,
		typed:    informers.NewSharedInformerFactoryWithOptions(client, resync, informers.WithTransform(stripManagedFields)),
		metadata: metadatainformer.NewSharedInformerFactoryWithOptions(metadataClient, resync, metadatainformer.WithTransform(stripManagedFields)),
		mapper:   restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery())),
		started:  make(chan struct{}),
	}, nil
}

func stripManagedFields(obj any) (any, error) {
	if object, err := meta.Accessor(obj); err == nil && object.GetManagedFields() != nil {
		object.SetManagedFields(nil)
	}
	return obj, nil
}

// refreshMapper lets the mapper forget, so that it learns of kinds that came and went.
func (h *house) refreshMapper(ctx context.Context) {
	ticker := time.NewTicker(rediscover)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.mapper.Reset()
		}
	}
}

// whole are the resources of which quota must read more than metadata.
var whole = map[schema.GroupVersionResource]bool{
	corev1.SchemeGroupVersion.WithResource("services"):               true,
	corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"): true,
}

// ForResource and Start make house the informer factory of garbage collection and quota. Kubernetes' own factory holds
// whole objects, because other controllers there need them; here metadata is enough for all but a few.
func (h *house) ForResource(resource schema.GroupVersionResource) (informers.GenericInformer, error) {
	if whole[resource] {
		return h.typed.ForResource(resource)
	}
	return h.metadata.ForResource(resource), nil
}

func (h *house) Start(stop <-chan struct{}) {
	h.typed.Start(stop)
	h.metadata.Start(stop)
}

// together runs functions beside one another until all have ended.
func together(runs ...func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		done := make(chan struct{})
		for _, run := range runs {
			go func() {
				defer func() { done <- struct{}{} }()
				run(ctx)
			}()
		}
		for range runs {
			<-done
		}
	}
}

func buildNamespace(ctx context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c := namespace.NewNamespaceController(ctx, client, metadataClient, client.Discovery().ServerPreferredNamespacedResources,
		h.typed.Core().V1().Namespaces(), 5*time.Minute, corev1.FinalizerKubernetes)
	return func(ctx context.Context) { c.Run(ctx, 10) }, nil
}

func buildGarbageCollector(ctx context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c, err := garbagecollector.NewGarbageCollector(ctx, client, metadataClient, h.mapper, garbagecollector.DefaultIgnoredResources(), h, h.started)
	if err != nil {
		return nil, err
	}
	return together(
		func(ctx context.Context) { c.Run(ctx, 20, rediscover) },
		func(ctx context.Context) { c.Sync(ctx, client.Discovery(), rediscover) },
	), nil
}

func buildQuota(ctx context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	served := resourceConfig(false)
	list := quotageneric.ListerFuncForResourceFunc(h.ForResource)
	evaluators, err := quotacore.NewEvaluators(list, h.typed, served.ResourceEnabled)
	if err != nil {
		return nil, err
	}
	discover := discovery.NewDiscoveryClient(client.Discovery().RESTClient()).ServerPreferredNamespacedResources
	c, err := resourcequota.NewController(ctx, &resourcequota.ControllerOptions{
		QuotaClient:               client.CoreV1(),
		ResourceQuotaInformer:     h.typed.Core().V1().ResourceQuotas(),
		ResyncPeriod:              func() time.Duration { return 5 * time.Minute },
		InformerFactory:           h,
		ReplenishmentResyncPeriod: func() time.Duration { return resync },
		DiscoveryFunc:             discover,
		IgnoredResourcesFunc:      quotainstall.DefaultIgnoredResources,
		InformersStarted:          h.started,
		Registry:                  quotageneric.NewRegistry(evaluators),
		UpdateFilter:              quotainstall.DefaultUpdateFilter(),
	})
	if err != nil {
		return nil, err
	}
	return together(
		func(ctx context.Context) { c.Run(ctx, 5) },
		func(ctx context.Context) { c.Sync(ctx, discover, rediscover) },
	), nil
}

func buildServiceAccount(ctx context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c, err := serviceaccount.NewServiceAccountsController(klog.FromContext(ctx), h.typed.Core().V1().ServiceAccounts(),
		h.typed.Core().V1().Namespaces(), client, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) { c.Run(ctx, 1) }, nil
}

func buildRoleAggregation(_ context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c := clusterroleaggregation.NewClusterRoleAggregation(h.typed.Rbac().V1().ClusterRoles(), client.RbacV1())
	return func(ctx context.Context) { c.Run(ctx, 5) }, nil
}

func buildApprover(ctx context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c := approver.NewCSRApprovingController(ctx, client, h.typed.Certificates().V1().CertificateSigningRequests())
	return func(ctx context.Context) { c.Run(ctx, 1) }, nil
}

// buildSigner signs client certificates only: there are no kubelets here. It signs nothing without an authority.
func buildSigner(ctx context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	if h.signing == (SigningFiles{}) {
		klog.FromContext(ctx).Info("certificate requests are not signed, because no --cluster-signing-cert-file is given")
		return nil, nil
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	const lifetime = 365 * 24 * time.Hour
	c, err := signer.NewKubeAPIServerClientCSRSigningController(ctx, client, h.typed.Certificates().V1().CertificateSigningRequests(),
		h.signing.CertFile, h.signing.KeyFile, lifetime)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) { c.Run(ctx, 1) }, nil
}

func buildCleaner(_ context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	requests := h.typed.Certificates().V1().CertificateSigningRequests()
	requests.Informer() // the cleaner reads the cache without registering
	c := cleaner.NewCSRCleanerController(client.CertificatesV1().CertificateSigningRequests(), requests)
	return func(ctx context.Context) {
		if cache.WaitForCacheSync(ctx.Done(), requests.Informer().HasSynced) {
			c.Run(ctx, 1)
		}
	}, nil
}

func buildPolicyStatus(_ context.Context, h *house, config *rest.Config) (func(context.Context), error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	schemas := resolver.NewDefinitionsSchemaResolver(openapi.GetOpenAPIDefinitions, clientscheme.Scheme, apiextensionsscheme.Scheme).
		Combine(&resolver.ClientDiscoveryResolver{Discovery: client.Discovery()})
	c, err := validatingadmissionpolicystatus.NewController(h.typed.Admissionregistration().V1().ValidatingAdmissionPolicies(),
		client.AdmissionregistrationV1().ValidatingAdmissionPolicies(),
		&validatingadmissionpolicy.TypeChecker{SchemaResolver: schemas, RestMapper: h.mapper})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) { c.Run(ctx, 5) }, nil
}
