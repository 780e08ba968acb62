// Command demo-web is the web server of demonstrations: it says where it runs. In: CLUSTER, POD, ZONE, REGION, the
// address POD_IP (default all) and PORT (default 8080). Out: JSON on every path, "ok" on /healthz. On SIGTERM
// /healthz fails, and requests are served for a moment longer, until load balancers have noticed.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// drainTime is how long the server still takes new connections after SIGTERM: load balancers of a busy machine hear of it late.
	drainTime = 3 * time.Second
	// finishTime is how long open requests may take after that.
	finishTime = 10 * time.Second
)

// answer says which copy of the program answered.
type answer struct {
	Cluster string `json:"cluster"`
	Pod     string `json:"pod"`
	Zone    string `json:"zone"`
	Region  string `json:"region,omitempty"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	address := net.JoinHostPort(os.Getenv("POD_IP"), cmp.Or(os.Getenv("PORT"), "8080"))
	if err := serve(ctx, address, drainTime); err != nil {
		slog.Error("serving ended", "address", address, "error", err)
		os.Exit(1)
	}
}

// serve answers on address until ctx ends and open requests are finished.
func serve(ctx context.Context, address string, drain time.Duration) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	var draining atomic.Bool
	server := &http.Server{Handler: handler(&draining), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	slog.Info("serving", "address", listener.Addr().String(), "cluster", os.Getenv("CLUSTER"), "pod", os.Getenv("POD"))
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	slog.Info("draining")
	draining.Store(true)
	server.SetKeepAlivesEnabled(false)
	time.Sleep(drain)
	finish, cancel := context.WithTimeout(context.Background(), finishTime)
	defer cancel()
	err = server.Shutdown(finish)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func handler(draining *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if draining.Load() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		slog.Info("request", "path", r.URL.Path, "from", r.RemoteAddr)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(answer{os.Getenv("CLUSTER"), os.Getenv("POD"), os.Getenv("ZONE"), os.Getenv("REGION")})
	})
	return mux
}
