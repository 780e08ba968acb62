package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"kubefed.dev/kubefed/pkg/dns"
)

// Secret is text that is not to be seen in logs and errors.
type Secret string

const hidden = "(hidden)"

func (s Secret) String() string { return hidden }

// GoString keeps it out of %#v too.
func (s Secret) GoString() string { return hidden }

// TSIGKey is a key that signs DNS messages (RFC 8945).
type TSIGKey struct {
	// Name is a domain name.
	Name string `json:"name"`
	// Algorithm is hmac-sha256 (default), hmac-sha384 or hmac-sha512.
	Algorithm string `json:"algorithm,omitempty"`
	// Secret is in base64; or SecretFile names a file that holds it. One of both.
	Secret     Secret `json:"secret,omitempty"`
	SecretFile string `json:"secretFile,omitempty"`
}

// Read is the secret in base64, from the file where one is named.
func (k TSIGKey) Read() (string, error) {
	text := string(k.Secret)
	if k.SecretFile != "" {
		data, err := os.ReadFile(k.SecretFile)
		if err != nil {
			return "", fmt.Errorf("secret of TSIG key %s: %w", k.Name, err)
		}
		text = strings.TrimSpace(string(data))
	}
	if secret, err := base64.StdEncoding.DecodeString(text); err != nil || len(secret) < 16 {
		return "", fmt.Errorf("TSIG key %s: the secret is not base64 of at least 16 octets; make one with: openssl rand -base64 32", k.Name)
	}
	return text, nil
}

func (k TSIGKey) check(at string) (errs []error) {
	if err := dns.CheckName(dns.Absolute(k.Name)); k.Name == "" || err != nil {
		errs = append(errs, fmt.Errorf("%s.name %q: give the key's name as the other side knows it", at, k.Name))
	}
	if !slices.Contains([]string{"", "hmac-sha256", "hmac-sha384", "hmac-sha512"}, k.Algorithm) {
		errs = append(errs, fmt.Errorf("%s.algorithm %q: use hmac-sha256, hmac-sha384 or hmac-sha512", at, k.Algorithm))
	}
	switch {
	case (k.Secret == "") == (k.SecretFile == ""):
		errs = append(errs, fmt.Errorf("%s: give either secret or secretFile", at))
	case k.Secret != "":
		if _, err := k.Read(); err != nil {
			errs = append(errs, fmt.Errorf("%s.secret: %w", at, err))
		}
	}
	return errs
}

// Server is how the embedded server is reached.
type Server struct {
	// Listen are addresses for UDP and TCP, HOST:PORT; no HOST is all. --dns-listen by default.
	Listen []string `json:"listen,omitempty"`
	// Advertise are where the server is reached from outside, HOST:PORT, for who looks and checks; where it listens by default.
	Advertise []string `json:"advertise,omitempty"`
	// ListenTLS are addresses for DNS over TLS; they need TLS.
	ListenTLS []string  `json:"listenTLS,omitempty"`
	TLS       *TLSFiles `json:"tls,omitempty"`
	// TSIGKeys are those that zones name for transfers and secondaries.
	TSIGKeys []TSIGKey `json:"tsigKeys,omitempty"`
	// RateLimit is how many alike answers a second go to one network over UDP; 200 by default, negative for no limit.
	RateLimit int `json:"rateLimit,omitempty"`
	// ID is what the server calls itself where it is asked (NSID).
	ID string `json:"id,omitempty"`
	// Networks say where clients are, for routing Nearest.
	Networks []Network `json:"networks,omitempty"`
}

// TLSFiles are PEM files. A client has a CA; CertFile and KeyFile go together.
type TLSFiles struct {
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	CAFile   string `json:"caFile,omitempty"`
	// ServerName is whom a client expects, where that is not the host of the address.
	ServerName string `json:"serverName,omitempty"`
}

// Network is where the clients of a network are.
type Network struct {
	CIDR     string `json:"cidr"`
	Provider string `json:"provider,omitempty"`
	Region   string `json:"region,omitempty"`
}

// EmbeddedOptions are a zone's that the embedded server serves.
type EmbeddedOptions struct {
	// NameServers are the zone's as the world finds them. Those inside the zone need addresses. By default "ns1" in the zone at the
	// address on which the server listens.
	NameServers []NameServer `json:"nameServers,omitempty"`
	// Mailbox is who is responsible, such as "dns-admin.example.com"; "hostmaster" in the zone by default.
	Mailbox string `json:"mailbox,omitempty"`
	// NegativeTTLSeconds is how long resolvers may believe that a name does not exist; 10 by default.
	NegativeTTLSeconds uint32 `json:"negativeTTLSeconds,omitempty"`
	// Secondaries are told of changes.
	Secondaries []Secondary `json:"secondaries,omitempty"`
	// TransferKeys name the server's TSIG keys with which the zone may be transferred. Without any it may not.
	TransferKeys []string `json:"transferKeys,omitempty"`
	// UpdateKeys name the server's TSIG keys with which others, such as ACME clients, may change names that are not the federation's (RFC 2136).
	UpdateKeys []string `json:"updateKeys,omitempty"`
	// DNSSEC signs answers. A signed zone is not transferred.
	DNSSEC bool `json:"dnssec,omitempty"`
}

// NameServer is one with its addresses.
type NameServer struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses,omitempty"`
}

// Secondary is a server that carries a zone.
type Secondary struct {
	// Address is HOST:PORT.
	Address string `json:"address"`
	// Key names the server's TSIG key that signs what is sent to it; empty for none.
	Key string `json:"key,omitempty"`
}

// RFC2136Options are a zone's that is changed by dynamic update.
type RFC2136Options struct {
	// Server is the primary, HOST:PORT.
	Server string `json:"server"`
	// Key signs updates and transfers. Without one both are unsigned.
	Key *TSIGKey `json:"key,omitempty"`
	// TransferKey signs transfers where that is another key.
	TransferKey *TSIGKey `json:"transferKey,omitempty"`
	// Servers are all authoritative servers, HOST:PORT, that are asked whether they have a change; the primary alone by default.
	Servers []string `json:"servers,omitempty"`
}

// Route53Options are a hosted zone's of AWS Route 53.
type Route53Options struct {
	// ZoneID is the hosted zone's; by default it is found by name, and must be the only public one of it.
	ZoneID string `json:"zoneID,omitempty"`
	// Region signs the requests; us-east-1 by default.
	Region string `json:"region,omitempty"`
	// Endpoint is another address of the API, such as that of a private link.
	Endpoint string `json:"endpoint,omitempty"`
	// CredentialsFile is a shared credentials file, Profile the profile in it. By default the SDK's chain: environment, web
	// identity, instance.
	CredentialsFile string `json:"credentialsFile,omitempty"`
	Profile         string `json:"profile,omitempty"`
	// RoleARN is assumed with these credentials.
	RoleARN string `json:"roleARN,omitempty"`
	// RequestsPerSecond is at most as many; 4 by default.
	RequestsPerSecond float64 `json:"requestsPerSecond,omitempty"`
	// HealthChecks has Route 53 ask endpoints itself, so that clients fail over also while the control plane is down.
	HealthChecks bool `json:"healthChecks,omitempty"`
}

// CloudDNSOptions are a managed zone's of Google Cloud DNS.
type CloudDNSOptions struct {
	Project string `json:"project"`
	// ManagedZone is its name in the project; by default it is found by its DNS name.
	ManagedZone string `json:"managedZone,omitempty"`
	// Endpoint is another address of the API.
	Endpoint string `json:"endpoint,omitempty"`
	// CredentialsFile is a service account key or an external account's; by default those of the environment.
	CredentialsFile string `json:"credentialsFile,omitempty"`
}

// CoreDNSOptions are a zone's that CoreDNS reads from etcd.
type CoreDNSOptions struct {
	// Endpoints of etcd, such as https://10.0.0.1:2379.
	Endpoints []string `json:"endpoints"`
	// Prefix is CoreDNS' path; /skydns by default.
	Prefix string    `json:"prefix,omitempty"`
	TLS    *TLSFiles `json:"tls,omitempty"`
	// Username and PasswordFile, where etcd asks for them.
	Username     string `json:"username,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
	// Servers are CoreDNS' own addresses, HOST:PORT, that are asked whether they have a change.
	Servers []string `json:"servers,omitempty"`
}

func (s *Server) check(zones []Zone) (errs []error) {
	for i, a := range s.Listen {
		errs = append(errs, address(fmt.Sprintf("server.listen[%d]", i), a)...)
	}
	for i, a := range s.Advertise {
		errs = append(errs, hostPort(fmt.Sprintf("server.advertise[%d]", i), a)...)
	}
	for i, a := range s.ListenTLS {
		errs = append(errs, address(fmt.Sprintf("server.listenTLS[%d]", i), a)...)
	}
	if len(s.ListenTLS) > 0 && (s.TLS == nil || s.TLS.CertFile == "" || s.TLS.KeyFile == "") {
		errs = append(errs, fmt.Errorf("server.tls: DNS over TLS needs certFile and keyFile"))
	}
	for i, n := range s.Networks {
		if _, err := netip.ParsePrefix(n.CIDR); err != nil {
			errs = append(errs, fmt.Errorf("server.networks[%d].cidr %q: give a network such as 192.0.2.0/24", i, n.CIDR))
		}
	}
	known := map[string]bool{}
	for i, k := range s.TSIGKeys {
		errs = append(errs, k.check(fmt.Sprintf("server.tsigKeys[%d]", i))...)
		known[dns.Absolute(k.Name)] = true
	}
	for i, z := range zones {
		if z.Embedded == nil {
			continue
		}
		named := slices.Concat(z.Embedded.TransferKeys, z.Embedded.UpdateKeys)
		for _, secondary := range z.Embedded.Secondaries {
			if secondary.Key != "" {
				named = append(named, secondary.Key)
			}
		}
		for _, name := range named {
			if !known[dns.Absolute(name)] {
				errs = append(errs, fmt.Errorf("zones[%d].embedded: key %q is not among server.tsigKeys; add it there", i, name))
			}
		}
	}
	return errs
}

func (o *EmbeddedOptions) check(at, zone string) (errs []error) {
	for i, ns := range o.NameServers {
		here := fmt.Sprintf("%s.nameServers[%d]", at, i)
		if err := dns.CheckName(dns.Absolute(ns.Name)); ns.Name == "" || err != nil {
			errs = append(errs, fmt.Errorf("%s.name %q: give a host name", here, ns.Name))
		}
		if dns.InZone(dns.Absolute(ns.Name), zone) && len(ns.Addresses) == 0 {
			errs = append(errs, fmt.Errorf("%s.addresses: %s is inside the zone; give its IP addresses", here, ns.Name))
		}
		for j, a := range ns.Addresses {
			if _, err := netip.ParseAddr(a); err != nil {
				errs = append(errs, fmt.Errorf("%s.addresses[%d] %q: give an IP address", here, j, a))
			}
		}
	}
	for i, s := range o.Secondaries {
		errs = append(errs, hostPort(fmt.Sprintf("%s.secondaries[%d].address", at, i), s.Address)...)
	}
	if o.DNSSEC && len(o.TransferKeys) > 0 {
		errs = append(errs, fmt.Errorf("%s.transferKeys: a signed zone is not transferred; leave out transferKeys or dnssec", at))
	}
	return errs
}

func (o *RFC2136Options) check(at string) (errs []error) {
	errs = append(errs, hostPort(at+".server", o.Server)...)
	for i, s := range o.Servers {
		errs = append(errs, hostPort(fmt.Sprintf("%s.servers[%d]", at, i), s)...)
	}
	if o.Key != nil {
		errs = append(errs, o.Key.check(at+".key")...)
	}
	if o.TransferKey != nil {
		errs = append(errs, o.TransferKey.check(at+".transferKey")...)
	}
	return errs
}

func (o *Route53Options) check(at string) (errs []error) {
	errs = append(errs, endpoint(at+".endpoint", o.Endpoint)...)
	if o.RequestsPerSecond < 0 {
		errs = append(errs, fmt.Errorf("%s.requestsPerSecond %v: give a number above 0", at, o.RequestsPerSecond))
	}
	return errs
}

func (o *CloudDNSOptions) check(at string) (errs []error) {
	if o.Project == "" {
		errs = append(errs, fmt.Errorf("%s.project: name the project that the managed zone is in", at))
	}
	return append(errs, endpoint(at+".endpoint", o.Endpoint)...)
}

func (o *CoreDNSOptions) check(at string) (errs []error) {
	if len(o.Endpoints) == 0 {
		errs = append(errs, fmt.Errorf("%s.endpoints: name at least one of etcd, such as https://10.0.0.1:2379", at))
	}
	for i, e := range o.Endpoints {
		errs = append(errs, endpoint(fmt.Sprintf("%s.endpoints[%d]", at, i), e)...)
	}
	for i, s := range o.Servers {
		errs = append(errs, hostPort(fmt.Sprintf("%s.servers[%d]", at, i), s)...)
	}
	if o.Prefix != "" && !strings.HasPrefix(o.Prefix, "/") {
		errs = append(errs, fmt.Errorf("%s.prefix %q: begin it with a slash, such as /skydns", at, o.Prefix))
	}
	if t := o.TLS; t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		errs = append(errs, fmt.Errorf("%s.tls: certFile and keyFile go together; give both or none", at))
	}
	return errs
}

// address is where to listen.
func address(at, a string) []error {
	_, port, err := net.SplitHostPort(a)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return []error{fmt.Errorf("%s %q: give HOST:PORT, such as 0.0.0.0:5353", at, a)}
	}
	return nil
}

// hostPort is where another server is.
func hostPort(at, a string) []error {
	host, _, err := net.SplitHostPort(a)
	if err != nil || host == "" || len(address(at, a)) > 0 {
		return []error{fmt.Errorf("%s %q: give HOST:PORT, such as 192.0.2.53:53", at, a)}
	}
	return nil
}

func endpoint(at, e string) []error {
	if e == "" {
		return nil
	}
	if u, err := url.Parse(e); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return []error{fmt.Errorf("%s: give a URL such as https://dns.example.com", at)}
	}
	return nil
}
