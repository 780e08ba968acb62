package cli

import (
	"github.com/spf13/cobra"
)

const cloudLong = `The accounts of clouds that a federation asks: what they must be allowed to do, and whether they are.`

func newCloud(s Streams, known clouds) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cloud",
		Short:   "Check accounts of clouds, and print the permissions that they need",
		Long:    cloudLong,
		Example: "  kubefed cloud permissions aws > policy.json\n  kubefed cloud check --cloud-config=clouds.yaml",
		Args:    cobra.ArbitraryArgs,
		RunE:    chooseCommand,
	}
	cmd.AddCommand(newCloudPermissions(s), newCloudCheck(s, known))
	return cmd
}
