package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const renderLong = `Print an object exactly as a member gets it: with the cluster's share of replicas, and as OverridePolicies and
ClusterOverridePolicies have it there. The control plane renders with the same code. Nothing is changed.

With --filename the object is taken from a file, with the defaults that the federation API would give it; it need not
exist. What has not been placed in a cluster is shown with undivided replicas, and a note says so.

In a cluster in which an autoscaler owns the number of replicas the control plane leaves that number out; it is shown
here all the same.

Exit codes: 0 printed; 1 an override policy can't be applied in a cluster, or the federation could not be asked.`

const renderExample = `  kubefed render deployment/web --cluster gondor
  kubefed render deployment/web --all-clusters --diff
  kubefed render -f web.yaml --cluster gondor -o json`

type renderFlags struct {
	FederationFlags
	namespace, filename, cluster, output string
	allClusters, diff                    bool
}

func newRender(s Streams) *cobra.Command {
	f := &renderFlags{}
	cmd := &cobra.Command{
		Use:               "render TYPE/NAME --cluster=CLUSTER",
		Short:             "Show an object as a cluster gets it",
		Long:              renderLong,
		Example:           renderExample,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return runRender(cmd.Context(), f, args, s) },
	}
	f.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of the object (default: the context's)")
	flags.StringVarP(&f.filename, "filename", "f", "", "file with the object, or - for standard input, instead of TYPE/NAME")
	flags.StringVar(&f.cluster, "cluster", "", "the cluster")
	flags.BoolVar(&f.allClusters, "all-clusters", false, "every cluster that the object is placed in, one document each; if it is not placed yet, every cluster")
	flags.BoolVar(&f.diff, "diff", false, "show what differs from the object as all clusters would get it without policies and division")
	flags.StringVarP(&f.output, "output", "o", "yaml", "json or yaml")
	completeFlag(cmd, "cluster", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeClusters(cmd, nil, toComplete)
	})
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f *renderFlags) check(args []string) error {
	usage := func(message string) error { return &ExitError{ExitUsage, errors.New(message)} }
	switch {
	case (f.filename == "") == (len(args) == 0):
		return usage("name one object as TYPE/NAME, such as deployment/web, or a file by --filename")
	case (f.cluster == "") == !f.allClusters:
		return usage("name a cluster by --cluster, or ask for --all-clusters")
	case f.output == "":
		return usage("--output=: use json or yaml")
	}
	return checkOutput(f.output)
}

func runRender(ctx context.Context, f *renderFlags, args []string, s Streams) error {
	if err := f.check(args); err != nil {
		return err
	}
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	r, err := newRenderer(ctx, found)
	if err != nil {
		return fmt.Errorf("asking federation %q: %w", found.Name, err)
	}
	if f.namespace != "" {
		r.namespace = f.namespace
	}
	var all []source
	if f.filename != "" {
		all, err = r.fromFile(ctx, f.filename, s.In)
	} else {
		all, err = r.fromName(ctx, args)
	}
	if err != nil {
		return err
	}
	var docs []document
	for _, one := range all {
		clusters, err := r.targets(one, f.cluster)
		if err != nil {
			return err
		}
		for _, name := range clusters {
			docs = append(docs, r.render(one, name))
		}
	}
	return printDocuments(s, f, docs)
}

// document is an object as one cluster gets it.
type document struct {
	cluster string
	object  *unstructured.Unstructured
	plain   *unstructured.Unstructured // without division and policies
	note    string
	err     error
}

func printDocuments(s Streams, f *renderFlags, docs []document) error {
	note := noteTo(s)
	var failed []error
	printed := 0
	for _, d := range docs {
		if d.note != "" {
			note("%s", d.note)
		}
		if d.err != nil {
			failed = append(failed, fmt.Errorf("cluster %s: %w", d.cluster, d.err))
			continue
		}
		if err := d.print(s, f, printed > 0); err != nil {
			return err
		}
		printed++
	}
	return errors.Join(failed...)
}

func (d document) print(s Streams, f *renderFlags, further bool) error {
	var text string
	switch {
	case f.diff:
		diff, err := d.unified()
		if err != nil {
			return err
		}
		text = diff
	case f.output == "json":
		var value any = d.object.Object
		if f.allClusters {
			value = map[string]any{"cluster": d.cluster, "object": d.object.Object}
		}
		data, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return fmt.Errorf("printing as JSON: %w", err)
		}
		text = string(data) + "\n"
	default:
		data, err := yaml.Marshal(d.object.Object)
		if err != nil {
			return fmt.Errorf("printing as YAML: %w", err)
		}
		if further {
			text = "---\n"
		}
		if f.allClusters {
			text += "# cluster " + d.cluster + "\n"
		}
		text += string(data)
	}
	_, err := fmt.Fprint(s.Out, text)
	return err
}

// unified compares what the cluster gets with what all would get.
func (d document) unified() (string, error) {
	lines := func(u *unstructured.Unstructured) ([]string, error) {
		data, err := yaml.Marshal(u.Object)
		return difflib.SplitLines(strings.TrimSuffix(string(data), "\n")), err
	}
	plain, err := lines(d.plain)
	if err != nil {
		return "", fmt.Errorf("printing as YAML: %w", err)
	}
	object, err := lines(d.object)
	if err != nil {
		return "", fmt.Errorf("printing as YAML: %w", err)
	}
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: plain, B: object, FromFile: "federation", ToFile: d.cluster, Context: 3,
	})
}
