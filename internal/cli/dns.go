package cli

import (
	"github.com/spf13/cobra"
)

const dnsLong = `The names that a federation publishes in DNS: what they answer and why, whether its servers really answer so, and how
clients and clusters get there.`

func newDNS(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dns",
		Short:   "Show, check and export the federation's names in DNS",
		Long:    dnsLong,
		Example: "  kubefed dns records web\n  kubefed dns check\n  kubefed dns export > zone.txt\n  kubefed dns coredns",
		Args:    cobra.ArbitraryArgs,
		RunE:    chooseCommand,
	}
	cmd.AddCommand(newDNSRecords(s), newDNSCheck(s), newDNSExport(s), newDNSCoreDNS(s))
	return cmd
}
