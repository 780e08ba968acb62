package permissions

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubefed.dev/kubefed/pkg/cloud/config"
)

// free are asked without any permission: no policy can name them.
var free = []string{"sts:GetCallerIdentity", "cloudbilling.skus.list"}

// implied are needed by what is asked in other words: changes of record sets, and clusters that are reached by their DNS name.
var implied = []string{"dns.resourceRecordSets.create", "dns.resourceRecordSets.delete", "dns.resourceRecordSets.update", "container.clusters.connect"}

// families are the constants by which calls to AWS name theirs.
var families = map[string]string{"FamilyEKS": config.FamilyEKS, "FamilySTS": config.FamilySTS, "FamilyEC2": config.FamilyEC2,
	"FamilyELB": config.FamilyELB, "FamilyPricing": config.FamilyPricing}

// What the code asks is what is listed, and nothing else.
func TestListedIsAsked(t *testing.T) {
	for _, provider := range []string{config.AWS, config.GCP} {
		asked := map[string]bool{}
		eachFile(t, "../"+provider, func(file *ast.File) {
			ast.Inspect(file, func(n ast.Node) bool {
				for _, name := range append(calls(n), append(named(n), append(route53(n), cloudDNS(n)...)...)...) {
					asked[name] = !slices.Contains(free, name)
				}
				return true
			})
		})
		var want []string
		for name, needed := range asked {
			if needed {
				want = append(want, name)
			}
		}
		var listed []string
		for _, p := range Of(provider) {
			if !slices.Contains(implied, p.Name) {
				listed = append(listed, p.Name)
			}
		}
		slices.Sort(want)
		slices.Sort(listed)
		if diff := cmp.Diff(want, listed); diff != "" {
			t.Errorf("%s: asked and not listed, or listed and not asked (-asked +listed):\n%s", provider, diff)
		}
	}
}

func eachFile(t *testing.T, root string, f func(*ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasSuffix(d.Name(), "test") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err == nil {
			f(file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// calls are what a Call of pkg/cloud/aws names.
func calls(n ast.Node) []string {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	family, operation := "", ""
	for _, e := range literal.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, _ := pair.Key.(*ast.Ident)
		switch value := pair.Value.(type) {
		case *ast.SelectorExpr:
			if key != nil && key.Name == "Family" {
				family = families[value.Sel.Name]
			}
		case *ast.BasicLit:
			if key != nil && key.Name == "Operation" {
				operation, _ = strconv.Unquote(value.Value)
			}
		}
	}
	if family == "" || operation == "" {
		return nil
	}
	return []string{family + ":" + operation}
}

var permission = regexp.MustCompile(`^"(container|compute|cloudbilling)\.[a-zA-Z]+\.[a-zA-Z]+"$`)

// named are permissions of Google Cloud in plain text.
func named(n ast.Node) []string {
	literal, ok := n.(*ast.BasicLit)
	if !ok || !permission.MatchString(literal.Value) {
		return nil
	}
	return []string{strings.Trim(literal.Value, `"`)}
}

// route53 are the methods of the interface through which Route 53 is asked.
func route53(n ast.Node) (all []string) {
	spec, ok := n.(*ast.TypeSpec)
	if !ok || spec.Name.Name != "api" {
		return nil
	}
	methods, ok := spec.Type.(*ast.InterfaceType)
	if !ok {
		return nil
	}
	for _, m := range methods.Methods.List {
		all = append(all, "route53:"+m.Names[0].Name)
	}
	return all
}

// cloudDNS are calls such as service.Changes.Create(...).
func cloudDNS(n ast.Node) []string {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil
	}
	verb, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	resource, ok := verb.X.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Changes", "ManagedZones", "ResourceRecordSets"}, resource.Sel.Name) {
		return nil
	}
	return []string{"dns." + strings.ToLower(resource.Sel.Name[:1]) + resource.Sel.Name[1:] + "." + strings.ToLower(verb.Sel.Name)}
}

// Every permission is for a feature that there is and says why, and Of leaves out what others need.
func TestOf(t *testing.T) {
	for _, provider := range []string{config.AWS, config.GCP} {
		for _, p := range Of(provider) {
			if len(p.Features) == 0 || p.Why == "" || (p.Resource != "") != (provider == config.AWS) {
				t.Errorf("%+v", p)
			}
			for _, f := range p.Features {
				if !slices.Contains(Features, f) {
					t.Errorf("%s is for %s", p.Name, f)
				}
			}
		}
	}
	var names []string
	for _, p := range Of(config.AWS, Facts, Prices) {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"ec2:DescribeAvailabilityZones", "pricing:GetProducts", "ec2:DescribeSpotPriceHistory"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A statement is as AWS takes it: Sids of letters and digits, each once, and every action in one.
func TestPolicy(t *testing.T) {
	seen, actions := map[string]bool{}, 0
	for _, s := range PolicyOf(Of(config.AWS)).Statement {
		if seen[s.Sid] || !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(s.Sid) || s.Effect != "Allow" || s.Resource == "" {
			t.Errorf("%+v", s)
		}
		seen[s.Sid] = true
		actions += len(s.Action)
	}
	if want := len(Of(config.AWS)); actions != want {
		t.Errorf("%d actions, want %d", actions, want)
	}
}
