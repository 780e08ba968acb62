package controlplane

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// fellowship are valid options, changed by f.
func fellowship(f func(*Options)) Options {
	o := DefaultOptions()
	o.Name, o.DNSZone, o.HostContext = "fellowship", "example.com", "rivendell"
	o.Image = "kubefed.dev/federation-apiserver:v1.2.3"
	if f != nil {
		f(&o)
	}
	return o
}

// validated are fellowship's options in normal form.
func validated(t *testing.T, f func(*Options)) Options {
	t.Helper()
	o, err := fellowship(f).Validate()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string // part of the error, "" for none
	}{
		{"the demo's", nil, ""},
		{"zone with a dot", func(o *Options) { o.DNSZone = "example.com." }, ""},
		{"zone in capitals", func(o *Options) { o.DNSZone = "EXAMPLE.com" }, ""},
		{"label that begins with a digit", func(o *Options) { o.DNSZone = "3.example.com" }, ""},
		{"node port", func(o *Options) { o.ServiceType, o.Port = corev1.ServiceTypeNodePort, 30443 }, ""},
		{"host name to advertise", func(o *Options) { o.AdvertiseAddress = "api.example.com" }, ""},
		{"IPv6 address to advertise", func(o *Options) { o.AdvertiseAddress = "2001:db8::1" }, ""},
		{"external etcd with its authority alone", func(o *Options) { o.Etcd.Servers, o.Etcd.CA = []string{"https://etcd:2379"}, []byte("ca") }, ""},
		{"override", func(o *Options) { o.ArgOverrides = []string{"--v=4"} }, ""},

		{"name in capitals", func(o *Options) { o.Name = "Fellowship" }, `federation name "Fellowship"`},
		{"name with a dot", func(o *Options) { o.Name = "fellow.ship" }, "federation name"},
		{"name too long", func(o *Options) { o.Name = strings.Repeat("a", 64) }, "federation name"},
		{"no name", func(o *Options) { o.Name = "" }, "federation name"},
		{"name of the host", func(o *Options) { o.Name = "rivendell" }, "choose another name"},
		{"no host", func(o *Options) { o.HostContext = "" }, "--host-cluster-context is required"},
		{"no zone", func(o *Options) { o.DNSZone = "" }, "--dns-zone-name is required"},
		{"the root zone", func(o *Options) { o.DNSZone = "." }, "--dns-zone-name is required"},
		{"empty label", func(o *Options) { o.DNSZone = "example..com" }, `--dns-zone-name=example..com: label ""`},
		{"underscore", func(o *Options) { o.DNSZone = "my_zone.com" }, `label "my_zone"`},
		{"hyphen at the end", func(o *Options) { o.DNSZone = "a-.com" }, `label "a-"`},
		{"label too long", func(o *Options) { o.DNSZone = strings.Repeat("a", 64) + ".com" }, "--dns-zone-name"},
		{"zone too long", func(o *Options) { o.DNSZone = strings.Repeat("abcdefg.", 32) + "com" }, "at most 253"},
		{"no image", func(o *Options) { o.Image = "" }, "--image"},
		{"pull policy", func(o *Options) { o.PullPolicy = "Sometimes" }, "--image-pull-policy=Sometimes"},
		{"service type", func(o *Options) { o.ServiceType = "ExternalName" }, "--api-server-service-type=ExternalName"},
		{"port", func(o *Options) { o.Port = 70000 }, "--api-server-port=70000"},
		{"address with a scheme", func(o *Options) { o.AdvertiseAddress = "https://a" }, "without scheme"},
		{"address for port-forward", func(o *Options) { o.ServiceType, o.AdvertiseAddress = corev1.ServiceTypeClusterIP, "a" }, "leave it out"},
		{"etcd server without scheme", func(o *Options) { o.Etcd.Servers = []string{"etcd:2379"} }, "--etcd-servers"},
		{"etcd files without servers", func(o *Options) { o.Etcd.CA = []byte("ca") }, "add --etcd-servers"},
		{"etcd certificate without key", func(o *Options) { o.Etcd.Servers, o.Etcd.Cert = []string{"https://e:2379"}, []byte("c") }, "belong together"},
		{"capacity", func(o *Options) { o.Etcd.Capacity = "much" }, "--etcd-pv-capacity=much"},
		{"no capacity", func(o *Options) { o.Etcd.Capacity = "0" }, "--etcd-pv-capacity=0"},
		{"an annotation without a name", func(o *Options) { o.ServiceAccountAnnotations = map[string]string{"a/": "b"} }, "--service-account-annotations"},
		{"override without dashes", func(o *Options) { o.ArgOverrides = []string{"v=4"} }, "--apiserver-arg-overrides"},
		{"override without value", func(o *Options) { o.ArgOverrides = []string{"--v"} }, "--apiserver-arg-overrides"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, err := fellowship(test.change).Validate()
			switch {
			case test.want == "" && err != nil:
				t.Fatal(err)
			case test.want == "" && !strings.HasSuffix(o.DNSZone, "."):
				t.Errorf("zone %q has no trailing dot", o.DNSZone)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// FuzzZone: what is accepted is in normal form, and accepted again as the same.
func FuzzZone(f *testing.F) {
	for _, zone := range []string{"example.com", "EXAMPLE.com.", "..", "a..b", "-a.b", ""} {
		f.Add(zone)
	}
	f.Fuzz(func(t *testing.T, zone string) {
		normal, err := normalZone(zone)
		if err != nil {
			return
		}
		if again, err := normalZone(normal); err != nil || again != normal {
			t.Errorf("%q became %q, and that %q (%v)", zone, normal, again, err)
		}
	})
}
