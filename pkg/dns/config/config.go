// Package config reads which DNS zones a federation publishes to, through which providers, and how its embedded server
// listens. It opens nothing: providers are made from what is read here by constructors that cmd/federation-apiserver knows.
//
//	server:                                    # the embedded server; may be left out
//	  listen: [":5353"]
//	  tsigKeys: [{name: transfer, secretFile: /etc/dns/transfer.key}]
//	zones:                                     # the first is the federation's main zone
//	- name: global.example.com
//	  provider: embedded
//	  embedded:
//	    nameServers: [{name: ns1.global.example.com, addresses: [192.0.2.53]}]
//	    secondaries: [{address: "198.51.100.53:53", key: transfer}]
//	    transferKeys: [transfer]
//	- name: shop.example.org
//	  provider: aws-route53
//	  aws-route53: {region: eu-west-1, zoneID: Z0123456789}
package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"kubefed.dev/kubefed/pkg/dns"
)

// Names of providers.
const (
	Embedded = "embedded"
	RFC2136  = "rfc2136"
	Route53  = "aws-route53"
	CloudDNS = "google-clouddns"
	CoreDNS  = "coredns"
)

// Providers are all of them, the default first.
var Providers = []string{Embedded, RFC2136, Route53, CloudDNS, CoreDNS}

// Constructor makes the provider of one zone that is not embedded. ctx ends with the process: what runs beside calls ends with
// it. It must not wait for the provider to answer: a zone that can't be reached is the state of that zone, later. Errors say
// which field is wrong, and hold no secret.
type Constructor func(ctx context.Context, zone Zone) (dns.Provider, error)

// Constructors are the known providers by name, but for the embedded one.
type Constructors map[string]Constructor

// Config is the file.
type Config struct {
	// Server is how the embedded server is reached; it runs if a zone is embedded.
	Server Server `json:"server,omitzero"`
	// Zones are those that the federation writes to. The first is its main zone, in which Services have their names;
	// hosts of Ingresses and Gateways go to the longest zone that contains them.
	Zones []Zone `json:"zones"`
}

// Zone is one zone with its provider's options.
type Zone struct {
	// Name of the zone; absolute and in lower case after Parse.
	Name string `json:"name"`
	// Provider is one of Providers; embedded by default.
	Provider string `json:"provider,omitempty"`

	// Options of the provider that is named; those of another one are refused.
	Embedded *EmbeddedOptions `json:"embedded,omitempty"`
	RFC2136  *RFC2136Options  `json:"rfc2136,omitempty"`
	Route53  *Route53Options  `json:"aws-route53,omitempty"`
	CloudDNS *CloudDNSOptions `json:"google-clouddns,omitempty"`
	CoreDNS  *CoreDNSOptions  `json:"coredns,omitempty"`
}

// Load reads a file. Paths in it that are not absolute are from where it is.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the DNS configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("DNS configuration %s: %w", path, err)
	}
	for _, file := range c.Files() {
		if !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(path), *file)
		}
	}
	return c, nil
}

// Parse reads YAML or JSON, fills in defaults, and reports every field that is wrong. No error holds a secret.
func Parse(data []byte) (*Config, error) {
	c := &Config{}
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err
	}
	unknown, err := json.UnmarshalStrict(asJSON, c)
	if err := errors.Join(append(unknown, err)...); err != nil {
		return nil, err
	}
	for i := range c.Zones {
		z := &c.Zones[i]
		z.Name = dns.Absolute(z.Name)
		if z.Provider == "" {
			z.Provider = Embedded
		}
		z.fill()
	}
	return c, c.check()
}

// Default is one embedded zone.
func Default(zone string, listen ...string) *Config {
	c := &Config{Server: Server{Listen: listen}, Zones: []Zone{{Name: dns.Absolute(zone), Provider: Embedded}}}
	c.Zones[0].fill()
	return c
}

// fill gives a zone options where it has none.
func (z *Zone) fill() {
	switch {
	case z.Provider == Embedded && z.Embedded == nil:
		z.Embedded = &EmbeddedOptions{}
	case z.Provider == RFC2136 && z.RFC2136 == nil:
		z.RFC2136 = &RFC2136Options{}
	case z.Provider == Route53 && z.Route53 == nil:
		z.Route53 = &Route53Options{}
	case z.Provider == CloudDNS && z.CloudDNS == nil:
		z.CloudDNS = &CloudDNSOptions{}
	case z.Provider == CoreDNS && z.CoreDNS == nil:
		z.CoreDNS = &CoreDNSOptions{}
	}
}

func (c *Config) check() error {
	var errs []error
	if len(c.Zones) == 0 {
		errs = append(errs, errors.New("zones: name at least one zone"))
	}
	seen := map[string]bool{}
	for i := range c.Zones {
		at, z := fmt.Sprintf("zones[%d]", i), &c.Zones[i]
		if z.Name == "." {
			errs = append(errs, fmt.Errorf("%s.name: name the zone, such as global.example.com", at))
		} else if err := dns.CheckName(z.Name); err != nil {
			errs = append(errs, fmt.Errorf("%s.name: %w", at, err))
		}
		if seen[z.Name] {
			errs = append(errs, fmt.Errorf("%s.name: zone %s is there twice; a zone has one provider", at, z.Name))
		}
		seen[z.Name] = true
		errs = append(errs, z.check(at)...)
	}
	errs = append(errs, c.Server.check(c.Zones)...)
	return errors.Join(errs...)
}

func (z *Zone) check(at string) []error {
	if !slices.Contains(Providers, z.Provider) {
		return []error{fmt.Errorf("%s.provider %q: use one of %s", at, z.Provider, strings.Join(Providers, ", "))}
	}
	var errs []error
	for provider, given := range map[string]bool{
		Embedded: z.Embedded != nil, RFC2136: z.RFC2136 != nil, Route53: z.Route53 != nil, CloudDNS: z.CloudDNS != nil, CoreDNS: z.CoreDNS != nil,
	} {
		if given && provider != z.Provider {
			errs = append(errs, fmt.Errorf("%s.%s: the zone's provider is %s; move these options, or change the provider", at, provider, z.Provider))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	at += "." + z.Provider
	switch z.Provider {
	case Embedded:
		return z.Embedded.check(at, z.Name)
	case RFC2136:
		return z.RFC2136.check(at)
	case Route53:
		return z.Route53.check(at)
	case CloudDNS:
		return z.CloudDNS.check(at)
	}
	return z.CoreDNS.check(at)
}

// For is the longest zone that contains a name, and whether there is one.
func (c *Config) For(name string) (Zone, bool) {
	var best Zone
	for _, z := range c.Zones {
		if dns.InZone(name, z.Name) && len(z.Name) > len(best.Name) {
			best = z
		}
	}
	return best, best.Name != ""
}
