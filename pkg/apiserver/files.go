package apiserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kubefed.dev/kubefed/internal/pki"
)

// AdminKubeconfig is the file in the data directory that gives all rights, written where the server made its own
// authority for clients.
const AdminKubeconfig = "admin.kubeconfig"

// selfMade are the certificates and keys in dir that stand in for those that no flag gives. They are made once and kept,
// so that clients and tokens outlive a restart.
type selfMade struct {
	dir string
	ca  *pki.CA
}

func (s *selfMade) path(name string) string { return filepath.Join(s.dir, name) }

// makeFiles makes the certificates and keys that are missing and points the options at them.
func (o *Options) makeFiles() error {
	accounts := o.Kube.Authentication.ServiceAccounts
	if len(accounts.Issuers) == 0 {
		accounts.Issuers = []string{defaultIssuer}
	}
	if o.selfMade() {
		made, err := openSelfMade(filepath.Join(o.state.dir, "pki"))
		if err != nil {
			return err
		}
		o.state.files = made
		if err := o.useSelfMade(made); err != nil {
			return err
		}
	}
	if len(accounts.KeyFiles) == 0 && o.Kube.ServiceAccountSigningKeyFile != "" {
		accounts.KeyFiles = []string{o.Kube.ServiceAccountSigningKeyFile} // a private key file yields its public half
	}
	return nil
}

func (o *Options) useSelfMade(made *selfMade) error {
	if serving := o.Kube.SecureServing; serving.ServerCert.CertKey.CertFile == "" {
		if err := made.serving(serving.BindAddress); err != nil {
			return err
		}
		serving.ServerCert.CertKey.CertFile, serving.ServerCert.CertKey.KeyFile = made.path("server.crt"), made.path("server.key")
	}
	if o.Kube.ServiceAccountSigningKeyFile == "" && o.Kube.ServiceAccountSigningEndpoint == "" {
		if err := made.tokens(); err != nil {
			return err
		}
		o.Kube.ServiceAccountSigningKeyFile = made.path("service-accounts.key")
	}
	if client := o.Kube.Authentication.ClientCert; client.ClientCA == "" {
		client.ClientCA = made.path("ca.crt")
		if o.Signing == (SigningFiles{}) {
			o.Signing = SigningFiles{CertFile: made.path("ca.crt"), KeyFile: made.path("ca.key")}
		}
		return made.kubeconfig(filepath.Join(o.state.dir, AdminKubeconfig), o.FederationName, o.Kube.SecureServing.Listener.Addr())
	}
	return nil
}

// openSelfMade reads the authority in dir, or makes it.
func openSelfMade(dir string) (*selfMade, error) {
	s := &selfMade{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory for certificates: %w", err)
	}
	cert, certErr := os.ReadFile(s.path("ca.crt"))
	key, keyErr := os.ReadFile(s.path("ca.key"))
	if errors.Is(certErr, fs.ErrNotExist) || errors.Is(keyErr, fs.ErrNotExist) {
		ca, err := pki.NewCA("federation-ca")
		if err != nil {
			return nil, err
		}
		s.ca = ca
		// The key last: half a pair is made anew.
		return s, errors.Join(s.write("ca.crt", ca.CertPEM), s.write("ca.key", ca.KeyPEM))
	}
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	ca, err := pki.LoadCA(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%w: mend or remove %s", err, dir)
	}
	s.ca = ca
	return s, nil
}

// serving issues the server's certificate. It is made at every start, because addresses change.
func (s *selfMade) serving(bind net.IP) error {
	hosts := []string{"localhost", "127.0.0.1", "::1", "federation-apiserver"}
	if hostname, err := os.Hostname(); err == nil {
		hosts = append(hosts, hostname)
	}
	if !bind.IsUnspecified() && !bind.IsLoopback() {
		hosts = append(hosts, bind.String())
	}
	cert, key, err := s.ca.Server("federation-apiserver", hosts)
	if err != nil {
		return err
	}
	return errors.Join(s.write("server.crt", cert), s.write("server.key", key))
}

// tokens makes the key that signs service-account tokens, once.
func (s *selfMade) tokens() error {
	if _, err := os.Stat(s.path("service-accounts.key")); err == nil {
		return nil
	}
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	return s.write("service-accounts.key", key)
}

// kubeconfig writes a kubeconfig for a user with all rights, with a context named as the federation.
func (s *selfMade) kubeconfig(file, name string, address net.Addr) error {
	cert, key, err := s.ca.Client("federation-admin", "system:masters")
	if err != nil {
		return err
	}
	tcp := address.(*net.TCPAddr)
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = loopback.String()
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   "https://" + net.JoinHostPort(host, strconv.Itoa(tcp.Port)),
		CertificateAuthorityData: s.ca.CertPEM,
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("writing the admin kubeconfig: %w", err)
	}
	return replaceFile(file, data)
}

func (s *selfMade) write(name string, data []byte) error { return replaceFile(s.path(name), data) }

// replaceFile writes a file that a reader sees whole or not at all.
func replaceFile(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
