package apiserver

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	cliflag "k8s.io/component-base/cli/flag"
	controlplaneoptions "k8s.io/kubernetes/pkg/controlplane/apiserver/options"
	kubeoptions "k8s.io/kubernetes/pkg/kubeapiserver/options"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Options say what to serve and how. Flags that mean what they mean for kube-apiserver are kube-apiserver's own and live
// in Kube.
type Options struct {
	// FederationName is a DNS label.
	FederationName string
	// DNSZoneName is the zone in which the federation publishes Services; empty when there is none.
	DNSZoneName string
	// DataDir holds the embedded etcd, and certificates and keys that were not given. It may be empty only where
	// neither is needed.
	DataDir string
	// Signing are the certificate and key that sign approved CertificateSigningRequests; without them none is signed.
	Signing SigningFiles
	// Kube are the options of the generic control plane.
	Kube *controlplaneoptions.Options

	// state is what Complete found out.
	state state
}

// SigningFiles are the files of an authority. The zero value means none.
type SigningFiles struct{ CertFile, KeyFile string }

// defaultIssuer is the issuer of service-account tokens. It is an identifier; nothing need answer there.
const defaultIssuer = "https://federation-apiserver." + federation.SystemNamespace + ".svc"

// NewOptions returns options with the federation's defaults.
func NewOptions() *Options {
	kube := controlplaneoptions.NewOptions()
	// No bootstrap tokens: no node ever joins here. OpenID Connect is configured by --authentication-config.
	kube.Authentication = kubeoptions.NewBuiltInAuthenticationOptions().
		WithAnonymous().WithClientCert().WithRequestHeader().WithServiceAccounts().WithTokenFile().WithWebHook()
	kube.Authentication.ServiceAccounts.OptionalTokenGetter = newTokenGetter
	kube.Authentication.ServiceAccounts.Issuers = nil
	kube.Authorization.Modes = []string{"RBAC"}
	kube.SystemNamespaces = systemNamespaces
	o := &Options{FederationName: "federation", DataDir: "federation-data", Kube: kube}
	registerAdmission(kube.Admission.GenericAdmission, o)
	// Priority and fairness costs a third of the start's writes and helps where many unknown clients share a server.
	kube.Features.EnablePriorityAndFairness = false
	kube.GenericServerRunOptions.MaxRequestsInFlight = 2000
	kube.GenericServerRunOptions.MaxMutatingRequestsInFlight = 1000
	// Without it a stopping server waits a minute for watches that never end by themselves.
	kube.GenericServerRunOptions.ShutdownWatchTerminationGracePeriod = 2 * time.Second
	return o
}

// Flags returns the flags that set o, by topic.
func (o *Options) Flags() cliflag.NamedFlagSets {
	var named cliflag.NamedFlagSets
	fs := named.FlagSet("federation")
	fs.StringVar(&o.FederationName, "federation-name", o.FederationName, "Name of the federation, a DNS label.")
	fs.StringVar(&o.DNSZoneName, "dns-zone-name", o.DNSZoneName, "DNS zone in which the federation publishes Services, such as example.com.")
	fs.StringVar(&o.DataDir, "data-dir", o.DataDir,
		"Directory of the embedded etcd (unless --etcd-servers names another), and of the certificates, keys and the admin.kubeconfig that are made where no flag gives them.")
	fs.StringVar(&o.Signing.CertFile, "cluster-signing-cert-file", o.Signing.CertFile, "Certificate of the authority that signs CertificateSigningRequests.")
	fs.StringVar(&o.Signing.KeyFile, "cluster-signing-key-file", o.Signing.KeyFile, "Key of the authority that signs CertificateSigningRequests.")
	o.Kube.AddFlags(&named)
	return named
}

// Validate reports every wrong option.
func (o *Options) Validate() error {
	var errs []error
	for _, problem := range validation.IsDNS1123Label(o.FederationName) {
		errs = append(errs, fmt.Errorf("--federation-name %q: %s", o.FederationName, problem))
	}
	if zone := strings.TrimSuffix(o.DNSZoneName, "."); zone != "" {
		for _, problem := range validation.IsDNS1123Subdomain(zone) {
			errs = append(errs, fmt.Errorf("--dns-zone-name %q: %s", o.DNSZoneName, problem))
		}
	}
	if o.DataDir == "" && o.embedded() {
		errs = append(errs, errors.New("--data-dir is empty: name a directory for the embedded etcd, or an external etcd with --etcd-servers"))
	}
	if o.DataDir == "" && o.selfMade() {
		errs = append(errs, errors.New("--data-dir is empty: name a directory for self-made certificates, or give all of "+
			"--tls-cert-file, --tls-private-key-file, --client-ca-file, --service-account-signing-key-file"))
	}
	if port := o.Kube.SecureServing.BindPort; port < 0 || port > 65535 {
		errs = append(errs, fmt.Errorf("--secure-port %d: must be between 0, which takes a free one, and 65535", port))
	}
	if cert := o.Kube.SecureServing.ServerCert.CertKey; (cert.CertFile == "") != (cert.KeyFile == "") {
		errs = append(errs, errors.New("--tls-cert-file and --tls-private-key-file go together: give both or none"))
	}
	if (o.Signing.CertFile == "") != (o.Signing.KeyFile == "") {
		errs = append(errs, errors.New("--cluster-signing-cert-file and --cluster-signing-key-file go together: give both or none"))
	}
	return errors.Join(errs...)
}

// embedded says whether etcd is to run in this process; it is true only until the server knows where its etcd is.
func (o *Options) embedded() bool { return len(o.Kube.Etcd.StorageConfig.Transport.ServerList) == 0 }

// selfMade says whether any certificate or key must be made.
func (o *Options) selfMade() bool {
	return o.Kube.SecureServing.ServerCert.CertKey.CertFile == "" ||
		o.Kube.Authentication.ClientCert.ClientCA == "" ||
		o.Kube.ServiceAccountSigningKeyFile == "" && o.Kube.ServiceAccountSigningEndpoint == ""
}

// zone is the DNS zone with a trailing dot, or empty.
func (o *Options) zone() string {
	if o.DNSZoneName == "" {
		return ""
	}
	return strings.TrimSuffix(o.DNSZoneName, ".") + "."
}

// loopback is where a server listens that has only the certificates it made itself, unless --bind-address says more.
var loopback = net.IPv4(127, 0, 0, 1)
