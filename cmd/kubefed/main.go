// Command kubefed makes, inspects and changes federations.
package main

import (
	"os"

	"kubefed.dev/kubefed/internal/cli"
	"kubefed.dev/kubefed/pkg/cloud/aws/eks"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gke"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		cli.Cloud{Provider: config.AWS, Open: eks.New}, cli.Cloud{Provider: config.GCP, Open: gke.New}))
}
