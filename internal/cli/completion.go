package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

const completionLong = `Print a script that completes kubefed's commands, flags, contexts and cluster names.

  bash:        source <(kubefed completion bash)
  zsh:         source <(kubefed completion zsh)
  fish:        kubefed completion fish | source
  PowerShell:  kubefed completion powershell | Out-String | Invoke-Expression

Put that line into your shell's start-up file to have it always.`

func newCompletion(s Streams) *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Print a completion script for your shell",
		Long:      completionLong,
		Example:   "  source <(kubefed completion bash)",
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &ExitError{ExitUsage, fmt.Errorf("name one shell: bash, zsh, fish or powershell")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(s.Out, true)
			case "zsh":
				return root.GenZshCompletion(s.Out)
			case "fish":
				return root.GenFishCompletion(s.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(s.Out)
			}
			return &ExitError{ExitUsage, fmt.Errorf("no completion for shell %q: use bash, zsh, fish or powershell", args[0])}
		},
	}
}
