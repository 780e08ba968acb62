package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"
)

// kubelet is the part of a kubelet's API that kubectl logs, port-forward and exec need, at each node's address.
type kubelet struct {
	agent     *agent
	listeners []net.Listener
	streams   sync.WaitGroup // hijacked connections
}

// listen opens the endpoint of every node, and notes in machines where that is.
func (a *agent) listen() (*kubelet, error) {
	k := &kubelet{agent: a}
	config := &tls.Config{
		Certificates: []tls.Certificate{a.ServingCert},
		ClientCAs:    a.ClientCAs,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}
	for i, address := range Addresses(a.IPRange, a.Nodes) {
		l, err := tls.Listen("tcp", net.JoinHostPort(address.String(), "0"), config)
		if err != nil {
			for _, l := range k.listeners {
				l.Close()
			}
			return nil, fmt.Errorf("serving logs of cluster %s: %w", a.Cluster, err)
		}
		k.listeners = append(k.listeners, l)
		a.machines[nodeName(a.Config, i)] = machine{zoneOf(a.Config, i), address, int32(l.Addr().(*net.TCPAddr).Port)}
	}
	return k, nil
}

// connection is the key of a request's connection in its context.
type connection struct{}

// serve answers until ctx ends; followed logs and streams end then, too.
func (k *kubelet) serve(ctx context.Context) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.containerLogs)
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.stream(k.portForward))
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", k.stream(k.exec))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "nodes of local clusters serve logs, port-forward and exec only", http.StatusNotImplemented)
	})
	server := &http.Server{
		Handler:           onlyAPIServer(mux),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connection{}, c) },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          klog.NewStandardLogger("INFO"),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	var listeners sync.WaitGroup
	for _, l := range k.listeners {
		listeners.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				klog.FromContext(ctx).Error(err, "the kubelet endpoint ended; restart the cluster", "address", l.Addr().String())
			}
		})
	}
	listeners.Wait()
	k.streams.Wait()
}

// onlyAPIServer refuses users of the cluster, whose certificates may be of the same authority.
func onlyAPIServer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(r.TLS.PeerCertificates[0].Subject.Organization, user.SystemPrivilegedGroup) {
			http.Error(w, "nodes answer the API server alone: go through its API", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// stream serves a request that takes over its connection. The server forgets such connections: here they end with it.
func (k *kubelet) stream(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		k.streams.Add(1)
		defer k.streams.Done()
		defer endWith(r.Context(), r)()
		handle(w, r)
	}
}

// endWith closes a request's connection when ctx ends, unless stopped.
func endWith(ctx context.Context, r *http.Request) (stop func() bool) {
	conn := r.Context().Value(connection{}).(net.Conn)
	return context.AfterFunc(ctx, func() { conn.Close() })
}

// podOf finds the pod that a request names, or answers that there is none.
func (k *kubelet) podOf(w http.ResponseWriter, r *http.Request) (*v1.Pod, bool) {
	pod, err := k.agent.pods.Pods(r.PathValue("namespace")).Get(r.PathValue("pod"))
	if err == nil {
		return pod, true
	}
	code := http.StatusInternalServerError
	if apierrors.IsNotFound(err) {
		code = http.StatusNotFound
	}
	http.Error(w, err.Error(), code)
	return nil, false
}
