// Command images builds container images of the project's programs as OCI archives, one file for each, without a
// container engine: `make images`. In: the programs' source and a bundle of certificate authorities. Out:
// bin/images/NAME.tar, which containerd, podman, kind and skopeo load. The same input gives the same digest. It pushes
// nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"

	"kubefed.dev/kubefed/internal/version"
)

// programs are those that run in clusters.
var programs = []string{"federation-apiserver", "demo-web", "witness"}

// registry is the first part of the images' names.
const registry = "kubefed.dev/"

// bundles are where systems keep their certificate authorities, as Go's crypto/x509 looks for them.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.SetOutput(progress)
	folder := flags.String("out", filepath.Join("bin", "images"), "folder for the archives")
	arches := flags.String("arches", runtime.GOARCH, "architectures, divided by commas")
	bundle := flags.String("ca-bundle", firstFile(bundles), "file of certificate authorities (PEM) that the images trust")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := flags.Args()
	if len(names) == 0 {
		names = programs
	}
	if *bundle == "" {
		return fmt.Errorf("no certificate authorities found on this machine (looked at %s): name a file with --ca-bundle", strings.Join(bundles, ", "))
	}
	authorities, err := os.ReadFile(*bundle)
	if err != nil {
		return fmt.Errorf("--ca-bundle: %w", err)
	}
	if err := os.MkdirAll(*folder, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		p := program{Name: name, Reference: registry + name + ":" + version.Version, Authorities: authorities, Binaries: map[string][]byte{}}
		for arch := range strings.SplitSeq(*arches, ",") {
			fmt.Fprintf(progress, "building %s for linux/%s\n", name, arch)
			if p.Binaries[arch], err = compile(ctx, name, arch, progress); err != nil {
				return err
			}
		}
		archive := filepath.Join(*folder, name+".tar")
		digest, err := writeArchive(p, archive)
		if err != nil {
			return fmt.Errorf("writing %s: %w", archive, err)
		}
		fmt.Fprintf(out, "%s %s@%s\n", archive, p.Reference, digest)
	}
	return nil
}

func firstFile(paths []string) string {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}
