package conventions

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kubefed.dev/kubefed/internal/cli"
)

// TestDocumentedFlags: each kubefed command in the documents parses.
func TestDocumentedFlags(t *testing.T) {
	for _, path := range documents(t) {
		for _, command := range commandsOf(t, path) {
			words := strings.Fields(command)
			if words[0] != "kubefed" {
				continue
			}
			cmd, rest, err := cli.NewRoot(cli.Streams{In: strings.NewReader(""), Out: &strings.Builder{}, Err: &strings.Builder{}}).Find(words[1:])
			if err == nil && !cmd.HasSubCommands() {
				if err = cmd.ParseFlags(rest); err == nil {
					err = cmd.ValidateArgs(cmd.Flags().Args())
				}
			}
			if err != nil || cmd.HasSubCommands() {
				t.Errorf("%s: %q is no command: %v", path, command, err)
			}
		}
	}
}

// TestDocumentedTargets: the README's table and the Makefile's help name the same targets.
func TestDocumentedTargets(t *testing.T) {
	readme := read(t, "../../README.md")
	documented := []string{"help"}
	for _, m := range regexp.MustCompile("`make ([a-z0-9-]+)`").FindAllStringSubmatch(readme, -1) {
		documented = append(documented, m[1])
	}
	targets := makeTargets(t)
	for _, target := range targets {
		if !slices.Contains(documented, target) {
			t.Errorf("README.md does not name make %s", target)
		}
	}
	for _, target := range documented {
		if !slices.Contains(targets, target) {
			t.Errorf("README.md names make %s, which the Makefile has not", target)
		}
	}
}

// TestDocumentedNames: operating.md lists the metrics that there are, and explains every state.
func TestDocumentedNames(t *testing.T) {
	operating := read(t, "../../docs/operating.md")
	var metrics, states []string
	eachFile(t, func(path string, _ *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		text := read(t, path)
		for _, m := range metricName.FindAllStringSubmatch(text, -1) {
			metrics = append(metrics, m[1])
		}
		for _, m := range regexp.MustCompile(`(?m)^\tState\w+\s+= "(\w+)"`).FindAllStringSubmatch(text, -1) {
			states = append(states, m[1])
		}
	})
	for _, name := range append(metrics, states...) {
		if !strings.Contains(operating, "| `"+name+"` |") {
			t.Errorf("docs/operating.md does not explain %s", name)
		}
	}
	for _, m := range regexp.MustCompile("`(kubefed_[a-z_]+)").FindAllStringSubmatch(operating, -1) {
		if !slices.Contains(metrics, m[1]) {
			t.Errorf("docs/operating.md names the metric %s, which there is not", m[1])
		}
	}
}

// TestLinks: links between the documents lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, path := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	}
}

// documents are the project's own Markdown files.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// commandsOf lists what follows the prompt in a document's "console" fences. Other fences hold no commands.
func commandsOf(t *testing.T, path string) []string {
	t.Helper()
	var commands []string
	fence := ""
	for line := range strings.Lines(read(t, path)) {
		line = strings.TrimRight(line, "\n")
		if language, ok := strings.CutPrefix(line, "```"); ok {
			if fence != "" {
				fence = ""
			} else if fence = language; !slices.Contains([]string{"console", "text", "yaml"}, fence) {
				t.Errorf("%s: a fence is %q, want console, text or yaml", path, language)
				fence = "?"
			}
			continue
		}
		if command, ok := strings.CutPrefix(line, "$ "); ok && fence == "console" {
			commands = append(commands, command)
		}
	}
	return commands
}

// makeTargets are the targets that `make help` lists.
func makeTargets(t *testing.T) []string {
	t.Helper()
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):.*## `).FindAllStringSubmatch(read(t, "../../Makefile"), -1) {
		targets = append(targets, m[1])
	}
	return targets
}
