package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
)

// logServer is the part of a kubelet's API that kubectl logs needs.
type logServer struct {
	agent    *agent
	listener net.Listener
}

func (a *agent) listenForLogs() (*logServer, error) {
	l, err := tls.Listen("tcp", net.JoinHostPort(a.hostIP, "0"), &tls.Config{
		Certificates: []tls.Certificate{a.ServingCert},
		ClientCAs:    a.ClientCAs,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	})
	if err != nil {
		return nil, fmt.Errorf("serving logs of cluster %s: %w", a.Cluster, err)
	}
	a.logPort = int32(l.Addr().(*net.TCPAddr).Port)
	return &logServer{agent: a, listener: l}, nil
}

// serve answers until ctx ends; followed logs end then, too.
func (s *logServer) serve(ctx context.Context) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.containerLogs)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "nodes of local clusters serve logs only: run the command on this machine instead", http.StatusNotImplemented)
	})
	server := &http.Server{
		Handler:           mux,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          klog.NewStandardLogger("INFO"),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		klog.FromContext(ctx).Error(err, "the log endpoint ended; restart the cluster")
	}
}

func (s *logServer) containerLogs(w http.ResponseWriter, r *http.Request) {
	pod, err := s.agent.pods.Pods(r.PathValue("namespace")).Get(r.PathValue("pod"))
	if err != nil {
		code := http.StatusInternalServerError
		if apierrors.IsNotFound(err) {
			code = http.StatusNotFound
		}
		http.Error(w, err.Error(), code)
		return
	}
	fmt.Fprintf(w, "container %s of pod %s is simulated: image %s is not run by local clusters\n",
		r.PathValue("container"), pod.Name, containerImage(pod, r.PathValue("container")))
}
