package localcluster

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"kubefed.dev/kubefed/internal/node"
)

// startAPIServer builds kube-apiserver and runs it until ctx ends. The channel then gets one value, and is closed.
func startAPIServer(ctx context.Context, c Config, f files, etcd string) (<-chan error, error) {
	// The server's own clients would otherwise log the server's own deprecation warnings.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(apiServerFlags(c, f, etcd)); err != nil {
		return nil, err
	}
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	socket, err := net.Listen("tcp", net.JoinHostPort(c.address(), strconv.Itoa(c.Port)))
	if err != nil {
		return nil, fmt.Errorf("%w: another program has the address; end it, or choose another --ip-range or --port", err)
	}
	opts.SecureServing.Listener = listener{socket, newPartition(ctx, c.Dir)}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, utilerrors.NewAggregate(errs)
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return nil, err
	}
	config.KubeAPIs.ControlPlane.ProxyTransport.DialContext = node.DialPod
	// The three servers of the chain have their own copies of the generic configuration.
	release := release{EffectiveVersion: config.KubeAPIs.ControlPlane.Generic.EffectiveVersion}
	config.KubeAPIs.ControlPlane.Generic.EffectiveVersion = release
	config.ApiExtensions.GenericConfig.EffectiveVersion = release
	config.Aggregator.GenericConfig.EffectiveVersion = release
	ready, err := config.Complete()
	if err != nil {
		return nil, err
	}
	server, err := app.CreateServerChain(ready)
	if err != nil {
		return nil, err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)
		done <- prepared.Run(ctx)
	}()
	return done, nil
}

// apiServerFlags is the command line that this kube-apiserver would have as a program. What costs time and memory and
// only makes sense with several servers or many users is off.
func apiServerFlags(c Config, f files, etcd string) []string {
	return []string{
		"--etcd-servers=" + etcd,
		"--bind-address=" + c.address(),
		"--advertise-address=" + c.address(),
		"--secure-port=" + strconv.Itoa(c.Port),
		"--tls-cert-file=" + f.serverCert,
		"--tls-private-key-file=" + f.serverKey,
		"--client-ca-file=" + f.caCert,
		"--authentication-config=" + f.authentication,
		"--authorization-mode=RBAC",
		"--service-account-key-file=" + f.serviceAccountKey,
		"--service-account-signing-key-file=" + f.serviceAccountKey,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--kubelet-client-certificate=" + f.toKubeletCert,
		"--kubelet-client-key=" + f.toKubelet,
		"--kubelet-certificate-authority=" + f.caCert,
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + f.frontProxyCA,
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + f.frontProxyCert,
		"--proxy-client-key-file=" + f.frontProxyKey,
		// There is no kube-proxy: webhooks and API services are reached at their pods.
		"--enable-aggregator-routing=true",
		"--allow-privileged=true",
		"--endpoint-reconciler-type=none",
		"--enable-priority-and-fairness=false",
		"--runtime-config=flowcontrol.apiserver.k8s.io/v1=false",
		"--profiling=false",
		"--shutdown-delay-duration=0s",
	}
}
