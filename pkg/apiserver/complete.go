package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/kubernetes/pkg/capabilities"
	controlplaneoptions "k8s.io/kubernetes/pkg/controlplane/apiserver/options"

	"kubefed.dev/kubefed/internal/tracing"
)

// state is what is made on the way from options to a server.
type state struct {
	lock      *fileutil.LockedFile
	etcd      *etcd
	dir       string // files that this process writes for itself
	temporary bool   // dir goes when the server ends
	files     *selfMade
}

// complete turns options into those of the generic control plane: it opens the port, makes what certificates are
// missing, starts etcd and writes the files that Kubernetes reads its configuration from. Call release when done.
func (o *Options) complete(ctx context.Context) (controlplaneoptions.CompletedOptions, error) {
	none := controlplaneoptions.CompletedOptions{}
	if err := o.Validate(); err != nil {
		return none, err
	}
	if err := o.openDir(); err != nil {
		return none, err
	}
	if err := o.listen(); err != nil {
		return none, err
	}
	if err := o.makeFiles(); err != nil {
		return none, err
	}
	if err := o.startEtcd(); err != nil {
		return none, err
	}
	if err := o.configureAuthentication(); err != nil {
		return none, err
	}
	if err := o.configureTracing(os.Getenv); err != nil {
		return none, err
	}
	// Renewing an identity every ten seconds would be the only write of an idle server. Only the proxy between servers of
	// different versions reads it.
	if err := utilfeature.DefaultMutableFeatureGate.Set("APIServerIdentity=false,UnknownVersionInteroperabilityProxy=false"); err != nil {
		return none, fmt.Errorf("turning the server's identity lease off: %w", err)
	}
	// Pod templates with privileged containers are the members' business.
	capabilities.Setup(true, 0)
	if err := o.Kube.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return none, fmt.Errorf("setting feature gates: %w", err)
	}
	completed, err := o.Kube.Complete(ctx, nil, nil)
	if err != nil {
		return none, fmt.Errorf("completing options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return none, utilerrors.NewAggregate(errs)
	}
	return completed, nil
}

// release undoes complete.
func (o *Options) release() {
	if o.state.etcd != nil {
		o.state.etcd.Close()
		o.state.etcd = nil
	}
	if listener := o.Kube.SecureServing.Listener; listener != nil {
		listener.Close()
	}
	if o.state.temporary {
		os.RemoveAll(o.state.dir)
	}
	if o.state.lock != nil {
		o.state.lock.Close()
	}
}

func (o *Options) openDir() error {
	if o.DataDir == "" {
		dir, err := os.MkdirTemp("", "federation-apiserver-")
		if err != nil {
			return fmt.Errorf("making a directory for generated configuration: %w", err)
		}
		o.state.dir, o.state.temporary = dir, true
		return nil
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return fmt.Errorf("finding --data-dir: %w", err)
	}
	// Keys and the socket of etcd are in it.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making --data-dir: %w", err)
	}
	// etcd locks its database too, but by then this process would have replaced the files of the one that runs.
	lock, err := fileutil.TryLockFile(filepath.Join(dir, "lock"), os.O_WRONLY|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return fmt.Errorf("another process uses %s: stop it, or choose another --data-dir", dir)
	} else if err != nil {
		return fmt.Errorf("locking --data-dir: %w", err)
	}
	o.state.dir, o.state.lock = dir, lock
	return nil
}

// listen opens the port at once, so that port 0 is known before certificates and kubeconfig are written, and a port in
// use is found out before anything is.
func (o *Options) listen() error {
	serving := o.Kube.SecureServing
	if serving.BindAddress.IsUnspecified() && serving.ServerCert.CertKey.CertFile == "" {
		serving.BindAddress = loopback
	}
	address := net.JoinHostPort(serving.BindAddress.String(), strconv.Itoa(serving.BindPort))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening on %s: %w: choose others with --bind-address and --secure-port", address, err)
	}
	serving.Listener, serving.BindPort = listener, listener.Addr().(*net.TCPAddr).Port
	run := o.Kube.GenericServerRunOptions
	if len(run.AdvertiseAddress) == 0 {
		run.AdvertiseAddress = serving.BindAddress
		if run.AdvertiseAddress.IsUnspecified() {
			// The address is only told to clients that ask where the API is; a host without a route still serves.
			if run.AdvertiseAddress, err = utilnet.ResolveBindAddress(serving.BindAddress); err != nil {
				run.AdvertiseAddress = loopback
			}
		}
	}
	return nil
}

func (o *Options) startEtcd() error {
	if !o.embedded() {
		return nil
	}
	etcd, err := startEtcd(o.state.dir)
	if err != nil {
		return err
	}
	o.state.etcd = etcd
	o.Kube.Etcd.StorageConfig.Transport.ServerList = []string{etcd.endpoint}
	return nil
}

const authenticationConfiguration = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /livez
  - path: /readyz
  - path: /healthz
`

// configureAuthentication lets nobody in without a name, but for those who ask whether the server is well.
func (o *Options) configureAuthentication() error {
	authentication := o.Kube.Authentication
	if authentication.AuthenticationConfigFile != "" {
		return nil // whoever brings a configuration of their own says in it what anonymous users may do
	}
	file := filepath.Join(o.state.dir, "authentication.yaml")
	if err := os.WriteFile(file, []byte(authenticationConfiguration), 0o600); err != nil {
		return fmt.Errorf("writing the authentication configuration: %w", err)
	}
	authentication.AuthenticationConfigFile = file
	return nil
}

// configureTracing exports spans where OpenTelemetry's own variables say so, unless --tracing-config-file already does.
func (o *Options) configureTracing(getenv func(string) string) error {
	if o.Kube.Traces.ConfigFile != "" {
		return nil
	}
	export, err := tracing.FromEnvironment(getenv)
	if err != nil || export.Endpoint == "" {
		return err
	}
	file := filepath.Join(o.state.dir, "tracing.yaml")
	config := fmt.Sprintf("apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\nendpoint: %q\nsamplingRatePerMillion: %d\n",
		export.Endpoint, export.PerMillion())
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return fmt.Errorf("writing the tracing configuration: %w", err)
	}
	o.Kube.Traces.ConfigFile = file
	return nil
}
