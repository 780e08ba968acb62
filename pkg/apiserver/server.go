package apiserver

import (
	"context"
	"fmt"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsapiserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/notfoundhandler"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	controlplaneapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	controlplaneoptions "k8s.io/kubernetes/pkg/controlplane/apiserver/options"
	generatedopenapi "k8s.io/kubernetes/pkg/generated/openapi"

	"kubefed.dev/kubefed/internal/tracing"
)

// Server is a federation API server. Make one per process: much of Kubernetes' configuration is global.
type Server struct {
	options    *Options
	aggregator *aggregatorapiserver.APIAggregator
	ready      chan struct{}
}

// New starts what o needs (etcd, the listener) and builds the server. Call Run on success; on an error everything is
// undone.
func New(ctx context.Context, o *Options) (_ *Server, err error) {
	defer func() {
		if err != nil {
			o.release()
		}
	}()
	completed, err := o.complete(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, ready: make(chan struct{})}
	c, err := newConfigs(completed, s.Embedded())
	if err != nil {
		return nil, err
	}
	if s.aggregator, err = c.chain(o.Kube.Features.EnablePriorityAndFairness); err != nil {
		return nil, err
	}
	installMetrics(s.aggregator.GenericAPIServer.Handler.NonGoRestfulMux)
	err = s.aggregator.GenericAPIServer.AddPostStartHook("federation-bootstrap", func(hook genericapiserver.PostStartHookContext) error {
		if err := bootstrap(hook, hook.LoopbackClientConfig, Info{Name: o.FederationName, DNSZone: o.zone()}); err != nil {
			return err
		}
		close(s.ready)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Ready is closed when the federation's kinds are served and its own objects exist.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Embedded says whether etcd runs in this process, which means that no other process shares the data.
func (s *Server) Embedded() bool { return s.options.state.etcd != nil }

// Config reaches the server from inside its process, with all rights and without a client-side rate limit.
func (s *Server) Config() *rest.Config {
	config := rest.CopyConfig(s.aggregator.GenericAPIServer.LoopbackClientConfig)
	config.QPS = -1
	return config
}

// Signing are the files of the authority that signs CertificateSigningRequests.
func (s *Server) Signing() SigningFiles { return s.options.Signing }

// Kubeconfig is the file that the server wrote for its administrator, or empty where it was given an authority for
// clients.
func (s *Server) Kubeconfig() string {
	if s.options.state.files == nil || s.options.Kube.Authentication.ClientCert.ClientCA != s.options.state.files.path("ca.crt") {
		return ""
	}
	return filepath.Join(s.options.state.dir, AdminKubeconfig)
}

// Run serves until ctx ends, then lets requests end and closes etcd. It returns an error where the server could not go
// on.
func (s *Server) Run(ctx context.Context) error {
	defer s.options.release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-s.options.state.etcd.failed():
			cancel(fmt.Errorf("etcd ended: %w", err))
		case <-ctx.Done():
		}
	}()
	prepared, err := s.aggregator.PrepareRun()
	if err != nil {
		return fmt.Errorf("preparing to serve: %w", err)
	}
	if err := prepared.Run(ctx); err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	if err := context.Cause(ctx); err != nil && err != context.Canceled {
		return err
	}
	return nil
}

// configs are the configurations of the three servers that answer one after the other.
type configs struct {
	aggregator    *aggregatorapiserver.Config
	native        *controlplaneapiserver.Config
	apiExtensions *apiextensionsapiserver.Config
}

func newConfigs(opts controlplaneoptions.CompletedOptions, embedded bool) (*configs, error) {
	fairness := opts.Features.EnablePriorityAndFairness
	schemes := []*runtime.Scheme{legacyscheme.Scheme, apiextensionsapiserver.Scheme, aggregatorscheme.Scheme}
	generic, informers, storage, err := controlplaneapiserver.BuildGenericConfig(opts, schemes, resourceConfig(fairness), generatedopenapi.GetOpenAPIDefinitions)
	if err != nil {
		return nil, fmt.Errorf("configuring the server: %w", err)
	}
	generic.EffectiveVersion = kubernetesVersion{generic.EffectiveVersion}
	generic.EnableMetrics = false // installMetrics serves the controllers' metrics beside the server's
	if opts.Traces.ConfigFile != "" {
		generic.TracerProvider = tracing.Impatient(generic.TracerProvider)
		tracing.Use(generic.TracerProvider) // controllers' spans go the same way
	}
	resolver := webhook.NewDefaultServiceResolver()
	c := &configs{}
	native, initializers, err := controlplaneapiserver.CreateConfig(opts, generic, informers, storage, resolver, nil)
	if err != nil {
		return nil, fmt.Errorf("configuring native kinds: %w", err)
	}
	c.native = native
	// With several servers on one etcd a new CRD is held back for five seconds, until all of them know it.
	servers := 2
	if embedded {
		servers = 1
	}
	auth := webhook.NewDefaultAuthenticationInfoResolverWrapper(native.ProxyTransport, generic.EgressSelector, generic.LoopbackClientConfig, generic.TracerProvider)
	if c.apiExtensions, err = controlplaneapiserver.CreateAPIExtensionsConfig(*generic, informers, initializers, opts, servers, resolver, auth); err != nil {
		return nil, fmt.Errorf("configuring custom kinds: %w", err)
	}
	if c.aggregator, err = controlplaneapiserver.CreateAggregatorConfig(*generic, opts, informers, resolver, native.ProxyTransport, native.Extra.PeerProxy, initializers); err != nil {
		return nil, fmt.Errorf("configuring aggregation: %w", err)
	}
	// Nothing runs here that a Service could lead to, so there is no remote API to watch over.
	c.aggregator.ExtraConfig.DisableRemoteAvailableConditionController = true
	return c, nil
}

// chain builds the servers, the last one first.
func (c *configs) chain(fairness bool) (*aggregatorapiserver.APIAggregator, error) {
	notFound := notfoundhandler.New(c.native.Generic.Serializer, genericapifilters.NoMuxAndDiscoveryIncompleteKey)
	apiExtensionsConfig := c.apiExtensions.Complete()
	apiExtensions, err := apiExtensionsConfig.New(genericapiserver.NewEmptyDelegateWithCustomHandler(notFound))
	if err != nil {
		return nil, fmt.Errorf("building the server of custom kinds: %w", err)
	}
	nativeConfig := c.native.Complete()
	native, err := nativeConfig.New("federation-apiserver", apiExtensions.GenericAPIServer)
	if err != nil {
		return nil, fmt.Errorf("building the server of native kinds: %w", err)
	}
	client, err := kubernetes.NewForConfig(c.native.Generic.LoopbackClientConfig)
	if err != nil {
		return nil, err
	}
	storage, err := providers(nativeConfig, client.Discovery(), fairness)
	if err != nil {
		return nil, fmt.Errorf("storing native kinds: %w", err)
	}
	if err := native.InstallAPIs(storage...); err != nil {
		return nil, fmt.Errorf("installing native kinds: %w", err)
	}
	crds := apiExtensionsConfig.GenericConfig.MergedResourceConfig.ResourceEnabled(apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	aggregator, err := controlplaneapiserver.CreateAggregatorServer(c.aggregator.Complete(), native.GenericAPIServer,
		apiExtensions.Informers.Apiextensions().V1().CustomResourceDefinitions(), crds, priorities())
	if err != nil {
		return nil, fmt.Errorf("building the aggregating server: %w", err)
	}
	return aggregator, nil
}
