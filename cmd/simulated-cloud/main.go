// Command simulated-cloud serves the clouds of a playground, from the state in a folder, until it gets SIGTERM or SIGINT.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"kubefed.dev/kubefed/internal/simulatedcloud"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := pflag.String("dir", ".", "folder of the clouds' state")
	pflag.Parse()
	if err := simulatedcloud.Serve(ctx, *dir); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}
