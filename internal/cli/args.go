package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// oneName wants exactly one argument, the name of a what.
func oneName(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return &ExitError{ExitUsage, fmt.Errorf("%s wants one %s name, got %d arguments; see %s --help", cmd.CommandPath(), what, len(args), cmd.CommandPath())}
		}
		return nil
	}
}

// chooseCommand is what a command does that only holds others: show its help, or say that there is no such command.
func chooseCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	cmd.SuggestionsMinimumDistance = 2 // cobra sets it in its own search alone
	suggestion := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		suggestion = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q for %q%s\nSee '%s --help' for usage", args[0], cmd.CommandPath(), suggestion, cmd.CommandPath())
}

// noArgs wants no argument.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) != 0 {
		return &ExitError{ExitUsage, fmt.Errorf("%s takes no arguments, got %q; see %s --help", cmd.CommandPath(), args, cmd.CommandPath())}
	}
	return nil
}

// completeFlag registers a flag's completion; a flag that does not exist is a mistake in this program.
func completeFlag(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

// again is the command line that was typed, in words that go on where it stopped; without leaves out flags that advice
// gives another value.
type again func(without ...string) string

func typedAgain(cmd *cobra.Command, args []string) again {
	return func(without ...string) string {
		parts := append([]string{cmd.CommandPath()}, args...)
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if f.Name == "dry-run" || f.Name == "output" || slices.Contains(without, f.Name) {
				return
			}
			value := f.Value.String()
			if list, ok := f.Value.(pflag.SliceValue); ok {
				value = strings.Join(list.GetSlice(), ",")
			} else if f.Value.Type() == "stringToString" {
				value = strings.Trim(value, "[]")
			}
			parts = append(parts, shellQuote("--"+f.Name+"="+value))
		})
		return strings.Join(parts, " ")
	}
}

// shellQuote quotes a word for a POSIX shell where it needs that.
func shellQuote(word string) string {
	if strings.IndexFunc(word, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./,:@%+", r)
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
