package controlplane

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"kubefed.dev/kubefed/pkg/dns/config"
)

// DNS says where the federation's names are published, and how its own DNS server is reached.
type DNS struct {
	// Config is what the user gave, parsed. Nil keeps what an earlier Init stored; without that the federation's zone is served
	// by the embedded server.
	Config *config.Config
	// Files are those that Config names, by the names under which the pod finds them beside it.
	Files map[string][]byte
	// ServiceType exposes the embedded server; NotExposed leaves it inside its pod. By default it is the API's.
	ServiceType corev1.ServiceType
	// Reached is where the server is reached. Init finds it out.
	Reached DNSEndpoint
}

// NotExposed is the service type of a DNS server that is only reached at its pod's address.
const NotExposed corev1.ServiceType = "None"

// Keys of SecretDNS beside the files.
const (
	keyDNSConfig = "config.yaml" // what the control plane reads
	keyDNSGiven  = "given.yaml"  // the same without what Init found out
)

const (
	// dnsPort is above 1023: the pod may not listen below.
	dnsPort = 5353
	// standardPort and standardTLSPort are where DNS clients ask (RFC 1035 section 4.2, RFC 7858).
	standardPort, standardTLSPort = 53, 853
)

// config is what is published where.
func (d DNS) config(zone string) *config.Config {
	if d.Config != nil {
		return d.Config
	}
	return config.Default(zone)
}

// exposed says whether the embedded server has a Service.
func (d DNS) exposed(zone string) bool {
	return d.ServiceType != NotExposed && d.config(zone).HasEmbedded()
}

func validateDNS(o Options) error {
	switch o.DNS.ServiceType {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort, corev1.ServiceTypeClusterIP, NotExposed:
	default:
		return fmt.Errorf("--dns-service-type=%s: use LoadBalancer, NodePort, ClusterIP, or None to leave the DNS server inside its pod", o.DNS.ServiceType)
	}
	c := o.DNS.Config
	if c == nil {
		return nil
	}
	if main := c.Zones[0].Name; main != o.DNSZone {
		return fmt.Errorf("--dns-provider-config: zones[0].name is %s, and --dns-zone-name says %s: the federation's main zone comes first", main, o.DNSZone)
	}
	if len(c.Server.Listen) > 0 || len(c.Server.Advertise) > 0 {
		return fmt.Errorf("--dns-provider-config: server.listen and server.advertise: leave them out; the pod listens at port %d, and kubefed init finds out where it is reached", dnsPort)
	}
	if len(c.Server.ListenTLS) > 1 || len(c.Server.ListenTLS) == 1 && tlsPort(c) < 1024 {
		return fmt.Errorf("--dns-provider-config: server.listenTLS: give one address with a port above 1023, such as \":8853\"; the Service has it at port %d", standardTLSPort)
	}
	return nil
}

// tlsPort is where the pod listens for DNS over TLS; 0 for nowhere.
func tlsPort(c *config.Config) int32 {
	if len(c.Server.ListenTLS) == 0 {
		return 0
	}
	_, text, err := net.SplitHostPort(c.Server.ListenTLS[0])
	if err != nil {
		return 0
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return int32(port)
}

// keep takes up the DNS configuration that an earlier Init stored, where the user gave none.
func (d DNS) keep(stored corev1.Secret) (DNS, error) {
	given, there := stored.Data[keyDNSGiven]
	if d.Config != nil || !there {
		return d, nil
	}
	c, err := config.Parse(given)
	if err != nil {
		return d, fmt.Errorf("reading Secret %s/%s: %w; give --dns-provider-config again", Namespace, SecretDNS, err)
	}
	d.Config, d.Files = c, maps.Clone(stored.Data)
	delete(d.Files, keyDNSGiven)
	delete(d.Files, keyDNSConfig)
	return d, nil
}

// dnsFiles are the contents of SecretDNS.
func dnsFiles(o Options) map[string][]byte {
	given := o.DNS.config(o.DNSZone)
	files := map[string][]byte{keyDNSGiven: encoded(given), keyDNSConfig: encoded(reachedAt(given, o.DNS.Reached))}
	maps.Copy(files, o.DNS.Files)
	return files
}

func encoded(c *config.Config) []byte {
	text, err := yaml.Marshal(c)
	if err != nil {
		panic(err) // it was parsed from such text
	}
	return text
}

// reachedAt is a configuration with the embedded zones' name servers, where the user named none, and the place where the server is
// reached.
func reachedAt(given *config.Config, at DNSEndpoint) *config.Config {
	if len(at.Hosts) == 0 {
		return given
	}
	c := *given
	c.Server.Advertise = at.Servers()
	c.Zones = slices.Clone(given.Zones)
	for i := range c.Zones {
		z := &c.Zones[i]
		if z.Embedded != nil {
			options := *z.Embedded
			options.NameServers = at.NameServers(*z)
			z.Embedded = &options
		}
	}
	return &c
}

// DNSEndpoint is where the embedded DNS server is reached.
type DNSEndpoint struct {
	// Hosts are the IP addresses or host names that the host cluster gave.
	Hosts []string
	// Port is 53, or the node port.
	Port int32
	// Inside: only pods of the host cluster reach it.
	Inside bool
}

// Servers are HOST:PORT.
func (e DNSEndpoint) Servers() []string {
	var all []string
	for _, host := range e.Hosts {
		all = append(all, net.JoinHostPort(host, strconv.Itoa(int(e.Port))))
	}
	return all
}

// NameServers are those of an embedded zone: as the user said, else one in the zone with all addresses, and the host names as
// they are.
func (e DNSEndpoint) NameServers(z config.Zone) []config.NameServer {
	if len(z.Embedded.NameServers) > 0 {
		return z.Embedded.NameServers
	}
	var all []config.NameServer
	inZone := config.NameServer{Name: "ns1." + z.Name}
	for _, host := range e.Hosts {
		if _, err := netip.ParseAddr(host); err == nil {
			inZone.Addresses = append(inZone.Addresses, host)
		} else {
			all = append(all, config.NameServer{Name: host + "."})
		}
	}
	if len(inZone.Addresses) > 0 {
		all = append([]config.NameServer{inZone}, all...)
	}
	return all
}

// dnsService has UDP and TCP at one port, as DNS wants it.
func dnsService(o Options) *corev1.Service {
	port := func(name string, protocol corev1.Protocol, number int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Protocol: protocol, Port: number, TargetPort: intstr.FromString(name)}
	}
	spec := corev1.ServiceSpec{Type: o.DNS.ServiceType, Selector: selector(o.Name), Ports: []corev1.ServicePort{
		port("dns", corev1.ProtocolUDP, standardPort), port("dns-tcp", corev1.ProtocolTCP, standardPort),
	}}
	if tlsPort(o.DNS.config(o.DNSZone)) != 0 {
		spec.Ports = append(spec.Ports, port("dns-tls", corev1.ProtocolTCP, standardTLSPort))
	}
	if o.DNS.ServiceType == corev1.ServiceTypeLoadBalancer {
		// The server has to see who asks: for routing by nearness, and to limit rates by network.
		spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	return &corev1.Service{TypeMeta: typeMeta("v1", "Service"), ObjectMeta: objectMeta(o, ServiceDNS), Spec: spec}
}

func dnsContainerPorts(o Options) []corev1.ContainerPort {
	c := o.DNS.config(o.DNSZone)
	if !c.HasEmbedded() {
		return nil
	}
	ports := []corev1.ContainerPort{
		{Name: "dns", ContainerPort: dnsPort, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", ContainerPort: dnsPort, Protocol: corev1.ProtocolTCP},
	}
	if port := tlsPort(c); port != 0 {
		ports = append(ports, corev1.ContainerPort{Name: "dns-tls", ContainerPort: port, Protocol: corev1.ProtocolTCP})
	}
	return ports
}
