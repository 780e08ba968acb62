package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/kind"
	"kubefed.dev/kubefed/pkg/plan"
	"kubefed.dev/kubefed/pkg/policy"
)

const planLong = `Show, before anything is written, what would run where against what runs where now: if manifests or policies were
applied, if clusters, zones, regions or providers failed, or both together. The engine that decides in production answers.

The API server checks manifests (a server-side dry run), and fills in their defaults. LOST are replicas, and of objects
without replicas copies, in what fails. WAITS is how long timers such as tolerationSeconds and stableFor hold replacements
back, beside the time that pods take to start. COST is how much more it costs in an hour, by what pods request and the prices
of clusters, or unknown: see kubefed cost.

--survivability asks this of every single cluster, zone, region and provider.

Exit codes: 0 everything would run; 1 the question could not be answered; 2 something would not survive, or does not fit:
its last column says what.`

const planExample = `  kubefed plan -f deployment.yaml
  kubefed plan --policy policy.yaml
  kubefed plan --without gondor
  kubefed plan --without provider=aws --without zone=europe-west1-b -o json
  kubefed plan --survivability`

type planFlags struct {
	FederationFlags
	output, namespace   string
	files, policies     []string
	without             []string
	survivability, full bool
}

func newPlan(s Streams) *cobra.Command {
	f := &planFlags{}
	cmd := &cobra.Command{
		Use:               "plan",
		Short:             "Show what would run where, before anything is written",
		Long:              planLong,
		Example:           planExample,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runPlan(cmd.Context(), f, s) },
	}
	f.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringSliceVarP(&f.files, "filename", "f", nil, "manifests that would be applied, policies among them; - for standard input")
	flags.StringSliceVar(&f.policies, "policy", nil, "PropagationPolicies and ClusterPropagationPolicies that would be applied; - for standard input")
	flags.StringSliceVar(&f.without, "without", nil, "what would fail: a cluster, or provider=, region=, zone= and a name; more than one fail together")
	flags.BoolVar(&f.survivability, "survivability", false, "ask for every single cluster, zone, region and provider whether the federation could lose it")
	flags.BoolVar(&f.full, "all", false, "show objects that would not change, too")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of manifests that name none (default: the context's)")
	flags.StringVarP(&f.output, "output", "o", "", "json or yaml")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "without", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeClusters(cmd, nil, toComplete)
	})
	return cmd
}

// check finds what does not go together before anything is asked.
func (f *planFlags) check() ([]plan.Domain, error) {
	if err := checkOutput(f.output); err != nil {
		return nil, err
	}
	if f.survivability && len(f.without) > 0 {
		return nil, &ExitError{ExitUsage, errors.New("--survivability asks for everything that can fail: leave --without out")}
	}
	if !f.survivability && len(f.without)+len(f.files)+len(f.policies) == 0 {
		return nil, &ExitError{ExitUsage, errors.New("say what would happen: -f FILE, --policy FILE, --without CLUSTER or --survivability")}
	}
	var domains []plan.Domain
	for _, text := range f.without {
		d, err := plan.ParseDomain(text)
		if err != nil {
			return nil, &ExitError{ExitUsage, fmt.Errorf("--without: %w", err)}
		}
		domains = append(domains, d)
	}
	return domains, nil
}

func runPlan(ctx context.Context, f *planFlags, s Streams) error {
	domains, err := f.check()
	if err != nil {
		return err
	}
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	before, kinds, err := readWorld(ctx, found.Config)
	if err != nil {
		return fmt.Errorf("federation %q: %w", found.Name, err)
	}
	after, err := f.apply(ctx, found, before, kinds, s)
	if err != nil {
		return err
	}
	if f.survivability {
		return f.printSurvivability(s, after.Survivability())
	}
	report := planReport{Objects: len(after.Objects), Failing: domains}
	if len(domains) > 0 {
		if report.Loss, err = after.LossOf(domains...); err != nil {
			return &ExitError{ExitUsage, fmt.Errorf("--without: %w", err)}
		}
		after = after.Without(report.Loss.Clusters...)
	}
	report.Changes = plan.Compare(before, after, after.Settle(), f.full)
	return f.printPlan(s, report)
}

// apply makes the world that applying the manifests would lead to.
func (f *planFlags) apply(ctx context.Context, found Federation, before *plan.World, kinds map[schema.GroupKind]kind.Kind, s Streams) (*plan.World, error) {
	after := before.Clone()
	if len(f.files)+len(f.policies) == 0 {
		return after, nil
	}
	api, err := newFinder(found.Config)
	if err != nil {
		return nil, err
	}
	namespace := f.namespace
	if namespace == "" {
		namespace = contextNamespace(found)
	}
	fresh := map[string]bool{} // namespaces that the manifests would make
	for _, path := range slices.Concat(f.files, f.policies) {
		manifests, err := readManifests(path, s.In)
		if err != nil {
			return nil, err
		}
		for _, m := range manifests {
			if m.GroupVersionKind() == (schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}) {
				fresh[m.GetName()] = true
			}
			if slices.Contains(f.policies, path) && m.GroupVersionKind().Group != federation.GroupName {
				return nil, &ExitError{ExitUsage, fmt.Errorf("%s holds a %s: --policy takes PropagationPolicies and ClusterPropagationPolicies, -f takes everything", path, m.GetKind())}
			}
			defaulted, err := api.dryRun(ctx, m, namespace)
			if apierrors.IsNotFound(err) && fresh[m.GetNamespace()] {
				defaulted, err = m, nil // the API server can't try what goes into a namespace that is not there yet
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if err := add(after, kinds, defaulted); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return after, nil
}

// add puts an object or a policy into a world. What is not federated changes nothing.
func add(w *plan.World, kinds map[schema.GroupKind]kind.Kind, obj *unstructured.Unstructured) error {
	gvk := obj.GroupVersionKind()
	if gvk.Group != federation.GroupName {
		if k, known := kinds[gvk.GroupKind()]; known {
			obj.SetGroupVersionKind(k.GroupVersionKind)
			w.Add(k, obj)
		}
		return nil
	}
	var compiled *policy.Propagation
	var err error
	convert := runtime.DefaultUnstructuredConverter.FromUnstructured
	switch gvk.Kind {
	case "PropagationPolicy":
		p := &federation.PropagationPolicy{}
		if err = convert(obj.Object, p); err == nil {
			compiled, err = policy.OfNamespace(p)
		}
	case "ClusterPropagationPolicy":
		p := &federation.ClusterPropagationPolicy{}
		if err = convert(obj.Object, p); err == nil {
			compiled, err = policy.OfCluster(p)
		}
	default:
		return nil // overrides and the like move nothing
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", gvk.Kind, obj.GetName(), err)
	}
	w.SetPolicy(compiled)
	return nil
}

// dryRun asks the API server what a manifest would become.
func (f *finder) dryRun(ctx context.Context, m *unstructured.Unstructured, namespace string) (*unstructured.Unstructured, error) {
	mapping, err := f.mapper.RESTMapping(m.GroupVersionKind().GroupKind(), m.GroupVersionKind().Version)
	if err != nil {
		return nil, fmt.Errorf("the federation serves no %s %s: %w", m.GetAPIVersion(), m.GetKind(), err)
	}
	if m.GetNamespace() != "" {
		namespace = m.GetNamespace()
	}
	if m.GetName() == "" {
		return nil, fmt.Errorf("a %s has no metadata.name", m.GetKind())
	}
	data, err := m.MarshalJSON()
	if err != nil {
		return nil, err
	}
	obj, err := f.resource(mapping, namespace).Patch(ctx, m.GetName(), types.ApplyPatchType, data,
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: "kubefed-plan", Force: ptr.To(true)})
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", m.GetKind(), m.GetName(), err)
	}
	return obj, nil
}

func failing(domains []plan.Domain) string {
	var names []string
	for _, d := range domains {
		names = append(names, d.String())
	}
	return strings.Join(names, " and ")
}
