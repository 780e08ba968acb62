package localcluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kubefed.dev/kubefed/internal/node"
	"kubefed.dev/kubefed/internal/pki"
)

// files are the paths of what the cluster's programs read. All but the kubeconfig are in the folder pki.
type files struct {
	caCert, caKey                 string
	serverCert, serverKey         string
	kubeletCert, kubeletKey       string // what the simulated kubelets serve with
	toKubeletCert, toKubelet      string // what the API server shows them
	serviceAccountKey             string
	authentication                string
	frontProxyCA                  string
	frontProxyCert, frontProxyKey string
}

// anonymousForHealth lets probes see health without credentials, and nothing else.
const anonymousForHealth = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /healthz
  - path: /livez
  - path: /readyz
`

// ensureFiles makes the cluster's certificates and its kubeconfig, or finds those of an earlier run. The kubeconfig is
// written last: a folder without one was not finished and is made anew.
func ensureFiles(c Config) (files, error) {
	dir := filepath.Join(c.Dir, "pki")
	in := func(name string) string { return filepath.Join(dir, name) }
	f := files{
		caCert: in("ca.crt"), caKey: in("ca.key"),
		serverCert: in("server.crt"), serverKey: in("server.key"),
		kubeletCert: in("kubelet.crt"), kubeletKey: in("kubelet.key"),
		toKubeletCert: in("kubelet-client.crt"), toKubelet: in("kubelet-client.key"),
		serviceAccountKey: in("service-account.key"),
		authentication:    in("authentication.yaml"),
		frontProxyCA:      in("front-proxy-ca.crt"),
		frontProxyCert:    in("front-proxy.crt"), frontProxyKey: in("front-proxy.key"),
	}
	earlier, err := clientcmd.LoadFromFile(c.KubeconfigPath())
	if err == nil {
		if err := matches(c, earlier); err != nil {
			return f, err
		}
		ca, err := f.loadCA()
		if err != nil {
			return f, err
		}
		return f, f.writeKubelet(ca, c)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, err
	}
	ca, err := pki.NewCA(c.Name + "-ca")
	if err != nil {
		return f, err
	}
	frontProxy, err := pki.NewCA(c.Name + "-front-proxy-ca")
	if err != nil {
		return f, err
	}
	w := writer{}
	w.write(f.caCert, ca.CertPEM)
	w.write(f.caKey, ca.KeyPEM)
	w.pair(f.serverCert, f.serverKey)(ca.Server("kube-apiserver", []string{
		c.address(), "127.0.0.1", "10.96.0.1", "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}))
	w.pair(f.toKubeletCert, f.toKubelet)(ca.Client("kube-apiserver-kubelet-client", "system:masters"))
	w.write(f.frontProxyCA, frontProxy.CertPEM)
	w.pair(f.frontProxyCert, f.frontProxyKey)(frontProxy.Client("front-proxy-client"))
	w.write(f.authentication, []byte(anonymousForHealth))
	key, err := pki.NewKey()
	if err != nil {
		return f, err
	}
	w.write(f.serviceAccountKey, key)
	adminCert, adminKey, err := ca.Client("kubernetes-admin", "system:masters")
	if err != nil {
		return f, err
	}
	if err := errors.Join(w.err, f.writeKubelet(ca, c)); err != nil {
		return f, err
	}
	return f, writeKubeconfig(c, ca.CertPEM, adminCert, adminKey)
}

func (f files) loadCA() (*pki.CA, error) {
	cert, err := os.ReadFile(f.caCert)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(f.caKey)
	if err != nil {
		return nil, err
	}
	return pki.LoadCA(cert, key)
}

// writeKubelet makes the nodes' certificate, anew at each start: there may be more nodes than before.
func (f files) writeKubelet(ca *pki.CA, c Config) error {
	var hosts []string
	for _, address := range node.Addresses(c.IPRange, c.Nodes) {
		hosts = append(hosts, address.String())
	}
	w := writer{}
	w.pair(f.kubeletCert, f.kubeletKey)(ca.Server("kubelet", hosts))
	return w.err
}

// matches refuses to bring back a cluster under another name or address than its certificates have.
func matches(c Config, earlier *clientcmdapi.Config) error {
	cluster, ok := earlier.Clusters[c.Name]
	if !ok {
		return fmt.Errorf("the folder %s belongs to cluster %q: choose another --dir", c.Dir, earlier.CurrentContext)
	}
	if cluster.Server != c.server() {
		return fmt.Errorf("the cluster in %s is at %s: give the same --ip-range and --port again, or another --dir", c.Dir, cluster.Server)
	}
	return nil
}

// occupy makes sure that one process at a time uses the folder. The lock ends with the process at the latest.
func occupy(dir string) (release func(), err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		folder.Close()
		return nil, fmt.Errorf("another local cluster runs in %s: end it, or choose another --dir: %w", dir, err)
	}
	return func() { folder.Close() }, nil
}

func writeKubeconfig(c Config, ca, cert, key []byte) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[c.Name] = &clientcmdapi.Cluster{
		Server:                   c.server(),
		CertificateAuthorityData: ca,
	}
	config.AuthInfos[c.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: c.Name}
	config.CurrentContext = c.Name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	// Renamed into place: whoever waits for the file never reads half of it.
	part := c.KubeconfigPath() + ".part"
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return err
	}
	return os.Rename(part, c.KubeconfigPath())
}

// writer keeps the first error of a series of writes.
type writer struct{ err error }

func (w *writer) write(path string, data []byte) {
	if w.err == nil {
		w.err = os.WriteFile(path, data, 0o600)
	}
}

func (w *writer) pair(certPath, keyPath string) func(cert, key []byte, err error) {
	return func(cert, key []byte, err error) {
		if err != nil && w.err == nil {
			w.err = fmt.Errorf("making %s: %w", filepath.Base(certPath), err)
		}
		w.write(certPath, cert)
		w.write(keyPath, key)
	}
}
