// Command local-cluster runs one complete Kubernetes cluster in one process, for playgrounds, tests and benchmarks. It
// logs to stderr, writes DIR/kubeconfig, and runs until it gets SIGTERM or SIGINT.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"kubefed.dev/kubefed/internal/localcluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config, err := localcluster.ParseFlags(os.Args[1:], os.Stderr)
	if err == nil {
		err = localcluster.Run(ctx, config)
	}
	klog.Flush()
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}
