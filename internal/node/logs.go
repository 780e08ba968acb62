package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
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
	options, err := parseLogOptions(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("container")
	image := containerImage(pod, name)
	if image == "" {
		http.Error(w, fmt.Sprintf("pod %s has no container %s", pod.Name, name), http.StatusNotFound)
		return
	}
	if _, real := s.agent.Images[imageRepository(image)]; !real {
		fmt.Fprintf(w, "container %s of pod %s is simulated: local clusters do not run image %s\n", name, pod.Name, image)
		return
	}
	s.processLogs(w, r, string(pod.UID), name, statusOf(pod, name), options)
}

// processLogs answers with what a process wrote, in this run of the cluster or an earlier one.
func (s *logServer) processLogs(w http.ResponseWriter, r *http.Request, uid, name string, status *v1.ContainerStatus, options logOptions) {
	var count int32
	if status != nil {
		count = status.RestartCount
	}
	var live *logFile
	if p, ok := s.agent.processPodOf(uid); ok {
		live, count = p.liveLog(name)
	}
	if options.previous {
		live, count = nil, count-1
	}
	file, err := os.Open(logPath(s.agent.podDir(uid), name, count))
	if errors.Is(err, fs.ErrNotExist) && !options.previous {
		// A container that waits for its restart shows the run before.
		file, err = os.Open(logPath(s.agent.podDir(uid), name, count-1))
	}
	if err != nil {
		what := "container %q in pod %q is waiting to start: there is no log yet"
		if options.previous {
			what = "previous terminated container %q in pod %q not found"
		}
		http.Error(w, fmt.Sprintf(what, name, r.PathValue("pod")), http.StatusBadRequest)
		return
	}
	defer file.Close()
	flush := http.NewResponseController(w).Flush
	if err := copyLog(r.Context(), file, live, options, w, func() { flush() }); err != nil {
		klog.FromContext(r.Context()).V(1).Info("sending a log ended", "container", name, "error", err.Error())
	}
}

func statusOf(pod *v1.Pod, container string) *v1.ContainerStatus {
	if s := find(pod.Status.ContainerStatuses, container); s != nil {
		return s
	}
	return find(pod.Status.InitContainerStatuses, container)
}

// liveLog is the log of a container's present run, nil before its first, and the number of restarts.
func (p *processPod) liveLog(name string) (*logFile, int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs[name], p.container(name).RestartCount
}
