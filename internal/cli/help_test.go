package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"kubefed.dev/kubefed/internal/version"
)

// commands are a command and all below it, by path.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, commands(sub)...)
		}
	}
	return all
}

func TestHelp(t *testing.T) {
	for _, cmd := range commands(NewRoot(Streams{})) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			if cmd.Short == "" || !strings.Contains(cmd.Example, cmd.CommandPath()) && cmd.HasParent() {
				t.Errorf("its short description is %q, its example %q", cmd.Short, cmd.Example)
			}
			args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
			code, out, errs := typed(t, args...)
			if code != ExitOK || errs != "" {
				t.Errorf("exit code %d, %s", code, errs)
			}
			wantGolden(t, "help/"+strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".txt", strings.ReplaceAll(out, version.Version, "VERSION"))
		})
	}
}

func TestHelpWithoutArguments(t *testing.T) {
	for _, line := range []string{"", "playground"} {
		_, want, _ := typed(t, append(strings.Fields(line), "--help")...)
		if code, out, errs := typed(t, strings.Fields(line)...); code != ExitOK || out != want || errs != "" {
			t.Errorf("kubefed %s: exit code %d, errors %q, and not its help: %s", line, code, errs, out)
		}
	}
}

// What scripts and logs get holds no progress.
func TestProgressIsForTerminals(t *testing.T) {
	var errs bytes.Buffer
	s := Streams{Err: &errs}
	progressTo(s)("waiting for %s", "rivendell")
	noteTo(s)("next: %s", "kubefed join")
	if got := errs.String(); got != "next: kubefed join\n" {
		t.Errorf("printed %q", got)
	}
}
