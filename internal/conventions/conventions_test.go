// Package conventions checks what the project promises of itself: which room may import which, that each package says
// what it owns, and how metrics are named.
package conventions

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "kubefed.dev/kubefed/"

// rooms that meet in the API only and do not import one another.
var apart = []string{"pkg/placement", "pkg/sync", "pkg/dns", "pkg/failover"}

// mayImport lists, for each room with a rule of its own, the rooms of the project that it may import.
var mayImport = map[string][]string{
	"pkg/apis":                {"pkg/apis"},
	"pkg/kind":                {"pkg/apis"},
	"pkg/apiserver":           {"pkg/apis", "pkg/dns", "pkg/kind", "pkg/policy", "pkg/override", "pkg/render", "internal/pki", "internal/tracing"},
	"pkg/policy":              {"pkg/apis"},
	"pkg/placement":           {"pkg/apis", "pkg/kind", "pkg/policy", "internal/tracing"},
	"pkg/plan":                {"pkg/apis", "pkg/kind", "pkg/policy", "pkg/placement"},
	"pkg/mcs":                 {"pkg/apis", "pkg/cluster", "pkg/dns"},
	"pkg/cluster":             {"pkg/apis", "pkg/kind", "pkg/probe", "pkg/verdict"},
	"pkg/witness":             {"pkg/apis", "pkg/cluster", "pkg/probe", "pkg/verdict"},
	"pkg/override":            {"pkg/apis", "pkg/kind", "pkg/policy"},
	"pkg/render":              {"pkg/apis", "pkg/kind", "pkg/policy", "pkg/override"},
	"pkg/sync":                {"pkg/apis", "pkg/kind", "pkg/cluster", "pkg/policy", "pkg/override", "pkg/render", "internal/tracing"},
	"pkg/cloud":               {"pkg/apis", "pkg/dns", "pkg/verdict"},
	"pkg/probe":               {"pkg/apis"},
	"pkg/endpoint":            {"pkg/apis", "pkg/cluster", "pkg/dns", "pkg/probe"},
	"pkg/verdict":             {"pkg/apis", "pkg/probe"},
	"pkg/dns":                 {"pkg/apis", "pkg/kind", "pkg/policy", "pkg/probe"},
	"pkg/drill":               {"pkg/apis", "pkg/kind", "pkg/plan", "pkg/probe"},
	"pkg/controlplane":        {"pkg/apis", "pkg/cloud", "pkg/dns", "internal/pki", "internal/version"},
	"internal/pki":            {},
	"internal/tracing":        {},
	"internal/node":           {},
	"internal/playground":     {"internal/simulatedcloud"},
	"internal/simulatedcloud": {"pkg/cloud"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func room(importPath string) string {
	parts := strings.Split(strings.TrimPrefix(importPath, module), "/")
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func TestImportArrows(t *testing.T) {
	for _, p := range list(t, "./...") {
		from := room(p.ImportPath)
		allowed, ruled := mayImport[from]
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, module) {
				continue
			}
			to := room(imported)
			if to == from {
				continue
			}
			if ruled && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s; %s may import %v", p.ImportPath, imported, from, allowed)
			}
			if slices.Contains(apart, from) && slices.Contains(apart, to) {
				t.Errorf("%s imports %s: these rooms meet in the API only", p.ImportPath, imported)
			}
			if strings.HasPrefix(from, "pkg/") && strings.HasPrefix(to, "cmd/") {
				t.Errorf("%s imports %s: arrows go from cmd to pkg", p.ImportPath, imported)
			}
		}
	}
}

// TestKubernetesLinkedInFewPlaces: an upgrade of Kubernetes breaks in these packages only, and the CLI stays small.
func TestKubernetesLinkedInFewPlaces(t *testing.T) {
	linking := []string{"internal/localcluster", "pkg/apiserver"}
	for _, p := range list(t, "./...") {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "k8s.io/kubernetes/") && !slices.Contains(linking, room(p.ImportPath)) {
				t.Errorf("%s imports %s; only %v may", p.ImportPath, imported, linking)
			}
		}
	}
	for _, p := range list(t, "./cmd/kubefed") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "k8s.io/kubernetes/") {
				t.Errorf("the CLI links %s", dep)
			}
		}
	}
}

// TestCloudsLinkedInFewPlaces: the SDKs of clouds are large, and compiled into what talks to a cloud only.
func TestCloudsLinkedInFewPlaces(t *testing.T) {
	for _, p := range list(t, "./...") {
		if room(p.ImportPath) == "pkg/cloud" || p.ImportPath == module+"cmd/federation-apiserver" || p.ImportPath == module+"cmd/kubefed" {
			continue
		}
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "github.com/aws/aws-sdk-go-v2/") || strings.HasPrefix(dep, "cloud.google.com/go/co") || strings.HasPrefix(dep, "google.golang.org/api/") {
				t.Errorf("%s links %s; only pkg/cloud and the programs may", p.ImportPath, dep)
				break
			}
		}
	}
}

// TestCLIFindsClustersOnly: kubefed asks clouds for clusters; zones, prices and balancers are the control plane's.
func TestCLIFindsClustersOnly(t *testing.T) {
	large := regexp.MustCompile(`^(github.com/aws/aws-sdk-go-v2/service/(ec2|elasticloadbalancingv2|pricing|route53)|cloud.google.com/go/compute/apiv1|google.golang.org/api/(cloudbilling|dns))`)
	for _, p := range list(t, "./cmd/kubefed") {
		for _, dep := range p.Deps {
			if large.MatchString(dep) {
				t.Errorf("the CLI links %s", dep)
			}
		}
	}
}

// eachFile parses the project's Go files.
func eachFile(t *testing.T, f func(path string, file *ast.File)) {
	t.Helper()
	root := "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "bin" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		f(path, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPackageComments(t *testing.T) {
	comments := map[string]int{}
	eachFile(t, func(path string, file *ast.File) {
		dir := filepath.Dir(path)
		if _, ok := comments[dir]; !ok {
			comments[dir] = 0
		}
		if file.Doc != nil {
			comments[dir]++
		}
	})
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments, want one that says what it owns", dir, n)
		}
	}
}

func TestNoUtilityRooms(t *testing.T) {
	eachFile(t, func(path string, file *ast.File) {
		switch file.Name.Name {
		case "util", "utils", "helper", "helpers", "common", "misc":
			t.Errorf("%s: package %s has not found its noun yet", path, file.Name.Name)
		}
	})
}

var (
	metricName = regexp.MustCompile(`Name:\s+"(kubefed_[^"]*)"`)
	goodMetric = regexp.MustCompile(`^kubefed_[a-z]+(_[a-z]+)*_(total|seconds|bytes|ratio|info|ready|isolated|count)$`)
)

// TestMetricNames: prefix, unit or _total at the end (Prometheus naming practice).
func TestMetricNames(t *testing.T) {
	seen := 0
	eachFile(t, func(path string, _ *ast.File) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, m := range metricName.FindAllSubmatch(data, -1) {
			seen++
			if !goodMetric.Match(m[1]) {
				t.Errorf("%s: metric %s does not end in a unit or _total", path, m[1])
			}
		}
	})
	if seen == 0 {
		t.Error("found no metrics at all")
	}
}
