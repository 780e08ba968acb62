// Package controlplane owns a federation's control plane in its host cluster, from nothing to gone: the manifests and
// certificates, what is checked before the first write, how an interrupted start is taken up again, how the API gets an
// address, and what is removed at the end.
//
// Inputs are Options and a connection to the host cluster; outputs are objects in the host's namespace
// federation-system and a kubeconfig context named as the federation. Deciding (Validate, Decide, Manifests,
// EndpointOf) is pure and apart from acting (Init, Deinit). It does not join clusters, and knows nothing of what the
// federation API serves but its health.
package controlplane

import (
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"kubefed.dev/kubefed/internal/version"
)

// Options say what the control plane is to be. The zero value is not valid; start with DefaultOptions.
type Options struct {
	// Name of the federation, a DNS label (RFC 1123). It also names the kubeconfig context.
	Name string
	// DNSZone is where the federation's names are published. Validate adds the trailing dot.
	DNSZone string
	// HostContext is the kubeconfig context of the host cluster.
	HostContext string

	Image       string
	PullPolicy  corev1.PullPolicy
	PullSecrets []string

	// ServiceType says how the API is reached from outside: LoadBalancer, NodePort, or ClusterIP for port-forward only.
	ServiceType corev1.ServiceType
	// AdvertiseAddress replaces the address that the host cluster gives: an IP address or a host name.
	AdvertiseAddress string
	// Port is the load balancer's port (0: 443), the node port (0: the host picks one) or the local port of
	// `kubectl port-forward` (0: 6443).
	Port int32

	Etcd         Etcd
	DNS          DNS
	Cloud        Cloud
	ArgOverrides []string // "--flag=value" each
	NodeSelector map[string]string
	// ServiceAccountAnnotations are put on the control plane's service account, by which clouds know whom its pod is. Nil keeps
	// what is there.
	ServiceAccountAnnotations map[string]string
}

// Etcd says where the federation's state is kept.
type Etcd struct {
	// Servers are URLs of an external etcd; without them etcd is embedded.
	Servers []string
	// CA, Cert and Key (PEM) are for external servers with TLS.
	CA, Cert, Key []byte
	// Persistent keeps the embedded etcd's data in a PersistentVolumeClaim; else it dies with its pod.
	Persistent   bool
	Capacity     string
	StorageClass string
}

// Embedded says whether etcd runs inside the control plane.
func (e Etcd) Embedded() bool { return len(e.Servers) == 0 }

func (e Etcd) claims() bool { return e.Embedded() && e.Persistent }

// DefaultOptions are Federation v1's defaults where it had them.
func DefaultOptions() Options {
	return Options{
		Image:       "kubefed.dev/federation-apiserver:" + version.Version,
		PullPolicy:  corev1.PullIfNotPresent,
		ServiceType: corev1.ServiceTypeLoadBalancer,
		Etcd:        Etcd{Persistent: true, Capacity: "10Gi"},
	}
}

// Validate checks the options without contacting anything and returns them in normal form. Its errors name the flag of
// `kubefed init` to change.
func (o Options) Validate() (Options, error) {
	if problems := validation.IsDNS1123Label(o.Name); len(problems) > 0 {
		return o, fmt.Errorf("federation name %q: %s; it becomes part of DNS names, choose another", o.Name, problems[0])
	}
	if o.HostContext == "" {
		return o, fmt.Errorf("--host-cluster-context is required: the kubeconfig context of the cluster that is to run the control plane")
	}
	if o.HostContext == o.Name {
		return o, fmt.Errorf("federation name %q is also the host cluster's context, which would be overwritten: choose another name", o.Name)
	}
	zone, err := normalZone(o.DNSZone)
	if err != nil {
		return o, err
	}
	o.DNSZone = zone
	if o.DNS.ServiceType == "" {
		o.DNS.ServiceType = o.ServiceType
	}
	if o.Image == "" {
		return o, fmt.Errorf("--image is empty: leave the flag out for %s", DefaultOptions().Image)
	}
	if !slices.Contains([]corev1.PullPolicy{corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever}, o.PullPolicy) {
		return o, fmt.Errorf("--image-pull-policy=%s: use Always, IfNotPresent or Never", o.PullPolicy)
	}
	for _, check := range []func(Options) error{validateExposure, validateEtcd, validateDNS, validateCloud, validateAnnotations, validateOverrides} {
		if err := check(o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// normalZone checks a zone name by RFC 1035 section 2.3.1, with the leading digits that RFC 1123 section 2.1 allows.
func normalZone(zone string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(zone, "."))
	if name == "" {
		return "", fmt.Errorf("--dns-zone-name is required: the DNS zone for the federation's names, for example example.com")
	}
	for label := range strings.SplitSeq(name, ".") {
		if problems := validation.IsDNS1123Label(label); len(problems) > 0 {
			return "", fmt.Errorf("--dns-zone-name=%s: label %q: %s", zone, label, problems[0])
		}
	}
	if len(name) > validation.DNS1123SubdomainMaxLength {
		return "", fmt.Errorf("--dns-zone-name: %d octets, a DNS name has at most %d", len(name), validation.DNS1123SubdomainMaxLength)
	}
	return name + ".", nil
}

func validateExposure(o Options) error {
	switch o.ServiceType {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort, corev1.ServiceTypeClusterIP:
	default:
		return fmt.Errorf("--api-server-service-type=%s: use LoadBalancer, NodePort, or ClusterIP for access by port-forward", o.ServiceType)
	}
	if o.Port < 0 || o.Port > 65535 {
		return fmt.Errorf("--api-server-port=%d: use a port from 1 to 65535", o.Port)
	}
	if o.AdvertiseAddress == "" {
		return nil
	}
	if o.ServiceType == corev1.ServiceTypeClusterIP {
		return fmt.Errorf("--api-server-advertise-address: has no meaning with --api-server-service-type=ClusterIP, which is reached by port-forward; leave it out")
	}
	if net.ParseIP(o.AdvertiseAddress) == nil && len(validation.IsDNS1123Subdomain(o.AdvertiseAddress)) > 0 {
		return fmt.Errorf("--api-server-advertise-address=%s: use an IP address or a host name, without scheme and port", o.AdvertiseAddress)
	}
	return nil
}

func validateEtcd(o Options) error {
	for _, server := range o.Etcd.Servers {
		if !strings.HasPrefix(server, "https://") && !strings.HasPrefix(server, "http://") {
			return fmt.Errorf("--etcd-servers: %q is no URL: write for example https://etcd.example.com:2379", server)
		}
	}
	tls := len(o.Etcd.CA) > 0 || len(o.Etcd.Cert) > 0 || len(o.Etcd.Key) > 0
	switch {
	case o.Etcd.Embedded() && tls:
		return fmt.Errorf("--etcd-cafile, --etcd-certfile and --etcd-keyfile are for an external etcd: add --etcd-servers")
	case (len(o.Etcd.Cert) > 0) != (len(o.Etcd.Key) > 0):
		return fmt.Errorf("--etcd-certfile and --etcd-keyfile belong together: give both or none")
	case !o.Etcd.claims():
		return nil
	}
	if q, err := resource.ParseQuantity(o.Etcd.Capacity); err != nil || q.Sign() <= 0 {
		return fmt.Errorf("--etcd-pv-capacity=%s: use a positive quantity such as 10Gi", o.Etcd.Capacity)
	}
	return nil
}

func validateAnnotations(o Options) error {
	for key := range o.ServiceAccountAnnotations {
		if problems := validation.IsQualifiedName(strings.ToLower(key)); len(problems) > 0 {
			return fmt.Errorf("--service-account-annotations: %q: %s", key, problems[0])
		}
	}
	return nil
}

func validateOverrides(o Options) error {
	for _, arg := range o.ArgOverrides {
		name, _, found := strings.Cut(arg, "=")
		if !found || !strings.HasPrefix(name, "--") || len(name) < 3 {
			return fmt.Errorf("--apiserver-arg-overrides: %q: write --flag=value, several divided by commas", arg)
		}
	}
	return nil
}
