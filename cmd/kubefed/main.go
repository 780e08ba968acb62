// Command kubefed makes, inspects and changes federations.
package main

import (
	"os"

	"kubefed.dev/kubefed/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
