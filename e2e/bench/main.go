// Command bench measures the federation against the same work done without one, on real parts, in one run: a
// federation-apiserver as the control plane, three bare member API servers (no controllers and no pods, which would hide
// everything else), and a second federation-apiserver without controllers as the floor.
//
//	direct      the Deployments are written straight into each member
//	four plain  the same, and each once into the server without controllers
//	federated   the Deployments are written into the federation, which writes them into the members
//
// In: the programs on PATH or in bin. Out: a table, or JSON, on standard output; nothing else stays. It counts processor
// time of all processes that take part, so that ratios hold on a busy machine too; docs/performance.md says how to read
// them. At the end one member falls silent for good, and its replicas are placed anew. It measures no pods and no status.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

type options struct {
	deployments, rounds, singles, writers, moves int
	output, profile                              string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.IntVar(&o.deployments, "n", 300, "Deployments in each round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; medians are reported")
	flag.IntVar(&o.singles, "singles", 50, "single creates on the idle system")
	flag.IntVar(&o.writers, "writers", 16, "concurrent writers")
	flag.IntVar(&o.moves, "moves", 1000, "Deployments re-placed when a member is down; 0 for none")
	flag.StringVar(&o.output, "o", "", "output format: json, or nothing for a table")
	flag.StringVar(&o.profile, "profile", "", "file for a CPU profile of the control plane while the last round's Deployments are created")
	flag.Parse()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out, progress io.Writer) error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("-o %s: must be json, or nothing for a table", o.output)
	}
	if flag.NArg() > 0 || o.deployments < 1 || o.rounds < 1 || o.singles < 1 || o.writers < 1 || o.moves < 0 {
		return fmt.Errorf("-n, -rounds, -singles and -writers must be at least 1, -moves at least 0, and there are no arguments")
	}
	if bin, err := filepath.Abs("bin"); err == nil {
		if err := os.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "kubefed-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := startWorld(ctx, dir, progress)
	defer w.stop()
	if err != nil {
		return err
	}
	b := &bench{options: o, world: w, progress: progress}
	result, err := b.run(ctx)
	if err != nil {
		return err
	}
	if o.output == "json" {
		return result.json(out)
	}
	return result.table(out)
}
