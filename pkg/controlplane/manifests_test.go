package controlplane

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

var update = flag.Bool("update", false, "write golden files")

func fixedCredentials() Credentials {
	return Credentials{
		CACert: []byte("ca-cert"), CAKey: []byte("ca-key"), ServingCert: []byte("serving-cert"), ServingKey: []byte("serving-key"),
		ServiceAccountKey: []byte("token-key"), Encryption: []byte("encryption"),
	}
}

func TestManifests(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Options)
	}{
		{"default", nil},
		{"everything", func(o *Options) {
			o.ServiceType, o.Port, o.AdvertiseAddress = corev1.ServiceTypeNodePort, 30443, "api.example.com"
			o.PullPolicy, o.PullSecrets = corev1.PullAlways, []string{"registry"}
			o.Etcd.Capacity, o.Etcd.StorageClass = "20Gi", "fast"
			o.ArgOverrides = []string{"--leader-elect=false", "--v=4"}
			o.NodeSelector = map[string]string{"disk": "ssd"}
		}},
		{"external-etcd", func(o *Options) {
			o.ServiceType = corev1.ServiceTypeClusterIP
			o.Etcd.Servers = []string{"https://etcd-0:2379", "https://etcd-1:2379"}
			o.Etcd.CA, o.Etcd.Cert, o.Etcd.Key = []byte("etcd-ca"), []byte("etcd-cert"), []byte("etcd-key")
		}},
		{"dns", func(o *Options) {
			o.DNS.ServiceType, o.DNS.Reached = corev1.ServiceTypeNodePort, DNSEndpoint{Hosts: []string{"192.0.2.7"}, Port: 30053}
			o.DNS.Config = parsed(t, "server: {listenTLS: [\":8853\"], tls: {certFile: /etc/federation/dns/file-1, keyFile: /etc/federation/dns/file-2}}\nzones: [{name: example.com}, {name: shop.example, provider: aws-route53}]")
			o.DNS.Files = map[string][]byte{"file-1": []byte("certificate"), "file-2": []byte("key")}
		}},
		{"dns-elsewhere", func(o *Options) { o.DNS.Config = parsed(t, "zones: [{name: example.com, provider: aws-route53}]") }},
		{"cloud", func(o *Options) {
			o.Cloud = clouds(t)
			o.ServiceAccountAnnotations = map[string]string{"iam.gke.io/gcp-service-account": "kubefed@earth-1.iam.gserviceaccount.com"}
		}},
		{"no-storage", func(o *Options) { o.Etcd.Persistent, o.Port = false, 8443 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := RenderYAML(Manifests(validated(t, test.change), fixedCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, test.name+".yaml", got)
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go test -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), go test -update writes it anew:\n%s", path, diff)
	}
}

// Every file that an argument names must be in a mount, and nothing may be writable but the data.
func TestArgumentsNameMountedFiles(t *testing.T) {
	o := validated(t, func(o *Options) {
		o.Etcd.Servers, o.Etcd.CA, o.Etcd.Cert, o.Etcd.Key = []string{"https://etcd:2379"}, []byte("a"), []byte("b"), []byte("c")
	})
	pod := podSpec(o)
	for _, arg := range pod.Containers[0].Args {
		flag, value, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(value, "/") {
			continue
		}
		mounted := false
		for _, m := range pod.Containers[0].VolumeMounts {
			mounted = mounted || value == m.MountPath || strings.HasPrefix(value, m.MountPath+"/")
		}
		if !mounted {
			t.Errorf("%s: no mount holds %s", flag, value)
		}
	}
	for _, m := range pod.Containers[0].VolumeMounts {
		if m.ReadOnly == (m.Name == "data") {
			t.Errorf("mount %s: read-only is %t", m.Name, m.ReadOnly)
		}
	}
}

// A CertificateSigningRequest that is approved is signed by the authority that the API trusts.
func TestSigningAuthorityIsTheClientsAuthority(t *testing.T) {
	o := validated(t, nil)
	pod, secrets := podSpec(o), secrets(o, fixedCredentials())
	file := func(flag string) string {
		for _, arg := range pod.Containers[0].Args {
			if path, ok := strings.CutPrefix(arg, flag+"="); ok {
				for _, m := range pod.Containers[0].VolumeMounts {
					for _, v := range pod.Volumes {
						for _, s := range secrets {
							if v.Name == m.Name && v.Secret != nil && v.Secret.SecretName == s.Name && filepath.Dir(path) == m.MountPath {
								return string(s.Data[filepath.Base(path)])
							}
						}
					}
				}
			}
		}
		return "no such file"
	}
	got := []string{file("--client-ca-file"), file("--cluster-signing-cert-file"), file("--cluster-signing-key-file")}
	if diff := cmp.Diff([]string{"ca-cert", "ca-cert", "ca-key"}, got); diff != "" {
		t.Errorf("what the flags name (-want +got):\n%s", diff)
	}
}

func TestChecksumFollowsWhatIsMounted(t *testing.T) {
	o := validated(t, nil)
	before := checksum(secrets(o, fixedCredentials()), nil)
	if checksum(secrets(o, fixedCredentials()), nil) != before {
		t.Error("the same Secrets gave another checksum")
	}
	c := fixedCredentials()
	c.ServingCert = []byte("other")
	if checksum(secrets(o, c), nil) == before {
		t.Error("another serving certificate left the checksum as it was")
	}
}
