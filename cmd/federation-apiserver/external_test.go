package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubefed.dev/kubefed/internal/pki"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/apiserver"
)

// TestExternalEtcd: two servers on one etcd that speaks TLS are one highly available federation API. When the one that
// runs the controllers is killed, controllers in a process of their own take over.
func TestExternalEtcd(t *testing.T) {
	flags := startEtcd(t)
	first := startFor(t, t.TempDir(), flags...)
	leader(t, first, time.Minute)

	// The second has the first's keys, as replicas that mount one Secret have.
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "pki"), os.DirFS(filepath.Join(first.dir, "pki"))); err != nil {
		t.Fatal(err)
	}
	second := startFor(t, dir, append(flags, "--controllers=")...)
	startControllers(t, filepath.Join(dir, apiserver.AdminKubeconfig), "--secure-port=0", housekeepersOnly())

	// Not federated: nobody here takes the federation's finalizer off.
	written := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Annotations: map[string]string{federation.AnnotationPropagate: "false"}}}
	if _, err := first.client.CoreV1().Namespaces().Create(t.Context(), written, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := second.client.CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{}); err != nil {
		t.Fatalf("the second server does not read what the first wrote: %v", err)
	}
	before := readLease(t, second)
	if err := first.end(syscall.SIGKILL); err == nil {
		t.Fatal("the first server was not killed")
	}
	killed := time.Now()
	if err := second.client.CoreV1().Namespaces().Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// Only a controller lets a namespace go.
	mustAwait(t, time.Minute, func() string {
		_, err := second.client.CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return ""
		}
		return fmt.Sprintf("namespace shop is still there (%v), the lease is %+v", err, readLease(t, second))
	})
	t.Logf("controllers took over %s after the kill", time.Since(killed).Round(time.Millisecond))
	if after := readLease(t, second); after.holder == before.holder {
		t.Errorf("the lease is still held by %s, which was killed", after.holder)
	}
}

// startEtcd runs an etcd that only accepts clients with a certificate, and returns the flags that reach it.
func startEtcd(t *testing.T) (flags []string) {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.NewCA("etcd")
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair := func(name string, cert, key []byte, err error) (string, string) {
		if err != nil {
			t.Fatal(err)
		}
		return file(name+".crt", cert), file(name+".key", key)
	}
	caFile := file("ca.crt", ca.CertPEM)
	serverCert, serverKey, err := ca.Server("etcd", []string{"127.0.0.1"})
	certFile, keyFile := pair("server", serverCert, serverKey, err)
	clientCert, clientKey, err := ca.Client("federation-apiserver")
	clientCertFile, clientKeyFile := pair("client", clientCert, clientKey, err)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "https", Host: listener.Addr().String()}
	if err := listener.Close(); err != nil { // etcd opens it itself
		t.Fatal(err)
	}
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "data")
	config.LogOutputs, config.LogLevel = []string{filepath.Join(dir, "log")}, "warn"
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{address}, []url.URL{address}
	config.ListenPeerUrls = nil
	config.ClientTLSInfo = transport.TLSInfo{CertFile: certFile, KeyFile: keyFile, TrustedCAFile: caFile, ClientCertAuth: true}
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(30 * time.Second):
		t.Fatal("etcd is not ready")
	}
	return []string{"--etcd-servers=" + address.String(), "--etcd-cafile=" + caFile, "--etcd-certfile=" + clientCertFile, "--etcd-keyfile=" + clientKeyFile}
}

// startControllers runs the controllers in a process of their own.
func startControllers(t *testing.T, kubeconfig string, args ...string) {
	t.Helper()
	command := exec.Command(os.Args[0], append([]string{"controllers", "--kubeconfig=" + kubeconfig}, args...)...)
	command.Env = append(os.Environ(), asServer+"=1")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if data, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("the controllers' log:\n%s", data)
		}
	})
}
