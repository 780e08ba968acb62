// Command witness says what it sees of other clusters from inside a member: `kubefed join` runs one there. In: the address
// POD_IP (default all) and PORT (default 8080); targets to ask, by POST /sightings. Out: sightings. It has no credentials, and asks
// nothing that it was not told to ask within the last minute.
package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kubefed.dev/kubefed/pkg/witness/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	address := net.JoinHostPort(os.Getenv("POD_IP"), cmp.Or(os.Getenv("PORT"), "8080"))
	if err := serve(ctx, address); err != nil {
		slog.Error("serving ended", "address", address, "error", err)
		os.Exit(1)
	}
}

// serve answers on address until ctx ends.
func serve(ctx context.Context, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: watch.New(ctx).Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	slog.Info("serving", "address", listener.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := server.Shutdown(closing); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
