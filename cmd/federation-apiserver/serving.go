package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/mux"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/controller-manager/app"
	"k8s.io/klog/v2"

	federationserver "kubefed.dev/kubefed/pkg/apiserver"
)

// servingOptions say where controllers in a process of their own tell how they are. The flags are
// kube-controller-manager's, and mean what they mean there.
type servingOptions struct {
	secure     *genericoptions.SecureServingOptionsWithLoopback
	kubeconfig string
}

// controllersPort is kube-controller-manager's.
const controllersPort = 10257

// healthPaths are answered to anyone: whoever watches over a process has no name in the federation.
var healthPaths = []string{"/healthz", "/livez", "/readyz"}

func newServingOptions() *servingOptions {
	o := &servingOptions{secure: genericoptions.NewSecureServingOptions().WithLoopback()}
	o.secure.BindPort = controllersPort
	o.secure.ServerCert.CertDirectory = "" // a certificate that nobody gave is kept in memory
	o.secure.ServerCert.PairName = "federation-controllers"
	return o
}

func (o *servingOptions) addFlags(fs *pflag.FlagSet) { o.secure.AddFlags(fs) }

func (o *servingOptions) validate() error {
	errs := o.secure.Validate()
	if cert := o.secure.ServerCert.CertKey; (cert.CertFile == "") != (cert.KeyFile == "") {
		errs = append(errs, errors.New("--tls-cert-file and --tls-private-key-file go together: give both or none"))
	}
	return utilerrors.NewAggregate(errs)
}

// serve opens the port and answers until ctx ends. A port of 0 means that nothing is served. The federation API, reached
// by config, says who a caller is and what they may read; it need not be up yet.
func (o *servingOptions) serve(ctx context.Context, config *rest.Config, running *atomic.Bool) error {
	if o.secure.BindPort == 0 {
		return nil
	}
	if err := o.secure.MaybeDefaultWithSelfSignedCerts("localhost", nil, []net.IP{net.IPv4(127, 0, 0, 1)}); err != nil {
		return fmt.Errorf("making a certificate to serve with: %w", err)
	}
	var serving *genericserver.SecureServingInfo
	var loopback *rest.Config // unused: this process does not ask itself
	if err := o.secure.ApplyTo(&serving, &loopback); err != nil {
		return fmt.Errorf("listening on %s port %d: %w: choose others with --bind-address and --secure-port", o.secure.BindAddress, o.secure.BindPort, err)
	}
	authentication, authorization, err := o.delegate(config, serving)
	if err != nil {
		return err
	}
	served := mux.NewPathRecorderMux("federation-controllers")
	ready := healthz.NamedCheck("controllers", func(*http.Request) error {
		if !running.Load() {
			return errors.New("the controllers do not run")
		}
		return nil
	})
	healthz.InstallHandler(served)
	healthz.InstallLivezHandler(served)
	healthz.InstallReadyzHandler(served, healthz.PingHealthz, ready)
	served.Handle("/metrics", federationserver.MetricsHandler())
	stopped, _, err := serving.Serve(app.BuildHandlerChain(served, authorization, authentication), 5*time.Second, ctx.Done())
	if err != nil {
		return fmt.Errorf("serving metrics and health: %w", err)
	}
	go func() {
		<-stopped
		if ctx.Err() == nil {
			klog.FromContext(ctx).Error(nil, "metrics and health are no longer served")
		}
	}()
	return nil
}

// delegate has the federation API review tokens and rights. Client certificates are those that it accepts itself; it
// publishes their authority in a ConfigMap, which is read again as it changes.
func (o *servingOptions) delegate(config *rest.Config, serving *genericserver.SecureServingInfo) (*genericserver.AuthenticationInfo, *genericserver.AuthorizationInfo, error) {
	client, err := kubernetes.NewForConfig(rest.AddUserAgent(rest.CopyConfig(config), "serving"))
	if err != nil {
		return nil, nil, err
	}
	clientCA, err := dynamiccertificates.NewDynamicCAFromConfigMapController("client-ca",
		metav1.NamespaceSystem, "extension-apiserver-authentication", "client-ca-file", client)
	if err != nil {
		return nil, nil, fmt.Errorf("following the authority of client certificates: %w", err)
	}
	authentication := &genericserver.AuthenticationInfo{}
	if err := authentication.ApplyClientCert(clientCA, serving); err != nil {
		return nil, nil, fmt.Errorf("accepting client certificates: %w", err)
	}
	anyone := &apiserver.AnonymousAuthConfig{Enabled: true}
	for _, path := range healthPaths {
		anyone.Conditions = append(anyone.Conditions, apiserver.AnonymousAuthCondition{Path: path})
	}
	defaults := genericoptions.NewDelegatingAuthenticationOptions()
	authentication.Authenticator, _, err = authenticatorfactory.DelegatingAuthenticatorConfig{
		Anonymous:                          anyone,
		TokenAccessReviewClient:            client.AuthenticationV1(),
		TokenAccessReviewTimeout:           defaults.TokenRequestTimeout,
		WebhookRetryBackoff:                defaults.WebhookRetryBackoff,
		CacheTTL:                           defaults.CacheTTL,
		ClientCertificateCAContentProvider: clientCA,
	}.New()
	if err != nil {
		return nil, nil, fmt.Errorf("preparing to ask the federation API who callers are: %w", err)
	}
	rights := genericoptions.NewDelegatingAuthorizationOptions()
	rights.RemoteKubeConfigFile, rights.AlwaysAllowPaths = o.kubeconfig, healthPaths
	authorization := &genericserver.AuthorizationInfo{}
	if err := rights.ApplyTo(authorization); err != nil {
		return nil, nil, fmt.Errorf("preparing to ask the federation API what callers may do: %w", err)
	}
	return authentication, authorization, nil
}
