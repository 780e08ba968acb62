// Command kubefed makes, inspects and changes federations.
package main

import (
	"os"

	"kubefed.dev/kubefed/internal/cli"
	"kubefed.dev/kubefed/pkg/cloud/aws/eks"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gke"
)

// clouds are those that can be asked for clusters.
var clouds = []cli.Cloud{{Provider: config.AWS, Open: eks.New}, {Provider: config.GCP, Open: gke.New}}

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, clouds...))
}
