package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Keys of a member's Secret.
const (
	secretToken = "token"
	secretCA    = "ca.crt"
)

// endpoint is what makes two connections to a member the same; the token is not part of it.
type endpoint struct {
	server, id string
	ca         string
}

// connection is one way to one member. It lives until its context ends.
type connection struct {
	name string
	endpoint
	token  atomic.Pointer[string]
	ctx    context.Context
	cancel context.CancelFunc
	nudge  chan struct{} // the token changed

	base      *url.URL
	http      *http.Client
	transport *http.Transport
	core      corev1client.CoreV1Interface
	mapper    *discoveryMapper
	member    *Member // shown to engagers once its identity is verified
	engaged   bool    // guarded by Registry.mu
}

// credentials reads a member's Secret. The error says what is wrong with it and what to do.
func credentials(cluster *federation.Cluster, secret *corev1.Secret) (e endpoint, token string, err error) {
	name := federation.SystemNamespace + "/" + cluster.Spec.SecretName
	if secret == nil {
		return e, "", fmt.Errorf("there is no Secret %s: %s", name, rejoin(cluster.Name))
	}
	token = string(bytes.TrimSpace(secret.Data[secretToken]))
	if token == "" {
		return e, "", fmt.Errorf("no key %q in Secret %s: %s", secretToken, name, rejoin(cluster.Name))
	}
	return endpoint{server: cluster.Spec.Server, id: cluster.Spec.ClusterID, ca: string(secret.Data[secretCA])}, token, nil
}

// connect prepares a connection; nothing is sent yet.
func connect(ctx context.Context, name string, e endpoint, token string) (*connection, error) {
	c := &connection{name: name, endpoint: e, nudge: make(chan struct{}, 1)}
	c.token.Store(&token)
	config, transport, err := newConfig(e.server, []byte(e.ca), func() string { return *c.token.Load() })
	if errors.Is(err, errNoCertificate) {
		return nil, fmt.Errorf("key %q of the cluster's Secret %w: %s", secretCA, err, rejoin(name))
	} else if err != nil {
		return nil, err
	}
	c.transport = transport
	if c.base, err = url.Parse(e.server); err != nil || c.base.Host == "" {
		return nil, fmt.Errorf("spec.server %q is no URL: %s", e.server, rejoin(name))
	}
	if c.base.Path == "" {
		c.base.Path = "/" // JoinPath of an empty path would not be absolute
	}
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, err
	}
	if c.core, err = corev1client.NewForConfigAndClient(config, c.http); err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfigAndClient(config, c.http)
	if err != nil {
		return nil, err
	}
	c.mapper = newMapper(c.do)
	c.member = &Member{Name: name, ID: e.id, Config: config, Dynamic: dyn, Resources: c.mapper}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c, nil
}

// do sends a request whose URL is a path on the member.
func (c *connection) do(req *http.Request) (*http.Response, error) {
	req.URL = c.base.JoinPath(req.URL.Path)
	req.Host = ""
	return c.http.Do(req)
}

// rotate puts another token to use, from the next request on.
func (c *connection) rotate(token string) {
	if *c.token.Load() == token {
		return
	}
	c.token.Store(&token)
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

// close ends everything that runs on the connection.
func (c *connection) close() {
	c.cancel()
	c.transport.CloseIdleConnections()
}
