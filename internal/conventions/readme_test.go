package conventions

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

type run struct {
	prefix, test string
	words        []string
}

// ran says which story of e2e runs a command of the README that is neither a step of the demo nor a make target: a
// command that begins with prefix, by a test that types all of words.
var ran = []run{
	{"kubefed init fellowship --host-cluster-context=host --dns-zone-name=example.com --", "TestDryRuns", []string{`"init"`, `"--image=`, `"--dry-run=client"`}},
	{"kubefed join blue --host-cluster-context=host --cluster-context=", "TestBadInput", []string{`"join"`, `"--cluster-context=`}},
	{"kubefed join blue --dry-run=client -o yaml", "TestDryRuns", []string{`"join"`, `"--dry-run=client", "-o", "yaml"`}},
	{"kubectl annotate deployment/web federation.kubefed.dev/on-conflict=adopt", "TestConflict", []string{`"annotate"`, "on-conflict=adopt"}},
	{"kubectl annotate configmap/settings federation.kubefed.dev/on-conflict=overwrite", "TestConflict", []string{`"annotate"`, "on-conflict=overwrite"}},
	{"kubefed render deployment/web --cluster gondor", "TestOverrides", []string{`rendered(t, ns, "web", member)`}},
	{"kubefed render -f web.yaml --all-clusters --diff", "TestRender", []string{`"render", "-f"`, `"--all-clusters", "--diff"`}},
	{"kubefed plan -f web.yaml", "TestOrderedGroups", []string{`"kubefed", "plan"`, `"-f"`}},
	{"kubefed plan --policy policy.yaml", "TestRebalance", []string{`"kubefed", "plan"`, `"--policy"`}},
	{"kubefed plan --without gondor", "TestPlanGates", []string{`"kubefed", "plan", "--without"`}},
	{"kubefed plan --survivability", "TestPlanGates", []string{`"kubefed", "plan", "--survivability"`}},
	{"kubefed cost --by workload -n shop", "TestCost", []string{`"kubefed", "cost", "--by", "workload", "-n"`}},
	{"kubefed cost", "TestCost", []string{`"kubefed", "cost")`}},
	{"kubefed why deployment/web", "TestOrderedGroups", []string{`"kubefed", "why", "deployment/web"`}},
	{"kubefed rebalance deployment/web --plan", "TestRebalance", []string{`"kubefed", "rebalance", "deployment/web"`, `"--plan"`}},
	{"kubefed rebalance deployment/web", "TestRebalance", []string{`"kubefed", "rebalance", "deployment/web"`}},
	{"kubefed playground kill shire", "TestDeadMember", []string{`"kill", "shire"`}},
	{"kubefed playground start shire", "TestDeadMember", []string{`"start", "shire"`}},
	{"kubectl delete deployment/", "TestDeadMember", []string{`"delete"`, `"--timeout=60s"`}},
	{"kubectl get tombstones", "TestDeadMember", []string{`"get", "tombstones"`}},
	{"kubefed unjoin shire --host-cluster-context=", "TestUnjoinKeep", []string{`"kubefed", "unjoin"`}},
	{"kubefed unjoin rohan --host-cluster-context=rivendell --workloads=remove", "TestUnjoinRemove", []string{`"unjoin"`, `"--workloads=remove"`}},
	{"kubefed deinit fellowship --host-cluster-context=", "TestDeinitRefused", []string{`"kubefed", "deinit"`}},
}

// TestReadmeCommands: every command of the README is a step of the demo, a make target, or run by a story.
func TestReadmeCommands(t *testing.T) {
	demo, tests, targets := demoCommands(t), functions(t, "../../e2e"), makeTargets(t)
	commands := commandsOf(t, "../../README.md")
	if len(commands) < 20 {
		t.Fatalf("found only %d commands in README.md", len(commands))
	}
	used := map[int]bool{}
	for _, command := range commands {
		if target, ok := strings.CutPrefix(command, "make "); ok {
			if !slices.Contains(targets, target) {
				t.Errorf("%q: the Makefile has no such target", command)
			}
			continue
		}
		if dir, ok := strings.CutPrefix(command, "cd "); ok {
			if _, err := os.Stat(filepath.Join("../..", dir)); err != nil {
				t.Errorf("%q: %v", command, err)
			}
			continue
		}
		if slices.Contains(demo, command) || command == "export PATH=$PWD/bin:$PATH" {
			continue
		}
		i := slices.IndexFunc(ran, func(r run) bool { return strings.HasPrefix(command, r.prefix) })
		if i < 0 {
			t.Errorf("%q is run by nothing: make it a step of e2e/demo, or have a story run it and list that here", command)
			continue
		}
		used[i] = true
	}
	for i, r := range ran {
		body, ok := tests[r.test]
		if !ok {
			t.Errorf("e2e has no %s, which is to run %q", r.test, r.prefix)
		}
		for _, word := range r.words {
			if !strings.Contains(body, word) {
				t.Errorf("e2e's %s does not type %s, for %q", r.test, word, r.prefix)
			}
		}
		if !used[i] {
			t.Errorf("the README has no command %q any more: strike it off the list", r.prefix)
		}
	}
}

// demoCommands are the steps of e2e/demo, and what it types around them, without the folder that it adds.
func demoCommands(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../e2e/demo/main.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok || len(lit.Elts) != 2 { // a step is a command and what it shows
			return true
		}
		first := lit.Elts[0]
		if sum, ok := first.(*ast.BinaryExpr); ok { // "kubefed playground up --dir=" + ...
			first = sum.X
		}
		if text, ok := first.(*ast.BasicLit); ok && text.Kind == token.STRING {
			if command, err := strconv.Unquote(text.Value); err == nil {
				commands = append(commands, strings.TrimSuffix(command, " --dir="))
			}
		}
		return true
	})
	if !slices.Contains(commands, "kubectl get clusters") {
		t.Fatalf("did not find the demo's story, only %q", commands)
	}
	return commands
}

// functions are the sources of a directory's functions in tests, by name.
func functions(t *testing.T, dir string) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		source, set := read(t, path), token.NewFileSet()
		file, err := parser.ParseFile(set, path, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				bodies[f.Name.Name] = source[set.Position(f.Pos()).Offset:set.Position(f.End()).Offset]
			}
		}
	}
	return bodies
}
