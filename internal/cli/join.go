package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"kubefed.dev/kubefed/internal/version"
	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
)

type joinFlags struct {
	FederationFlags
	accountFlags
	clusterContext   string
	labels           map[string]string
	provider, region string
	zones            []string
	customResources  bool
	witness          bool
	witnessImage     string
	timeout          time.Duration
	dryRun, output   string
}

func newJoin(s Streams, known clouds) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join NAME | join REFERENCE [NAME]",
		Short: "Make a cluster a member of the federation",
		Long: `Make a cluster a member of the federation.

In the cluster this makes namespace federation-system, a service account with the rights that federation needs
(docs/security.md lists them), a token for it, which the federation renews, and a witness: one small pod without rights that
looks at the other members from here, so that a cluster is not taken for dead on one word. In the federation it makes a Cluster
and a Secret with that token. Your own credentials are not copied. Joining again repairs what is missing.

The cluster is a context of your kubeconfig, or a managed one that its cloud names: eks:REGION/NAME or gke:PROJECT/LOCATION/NAME, as
"kubefed discover" lists them. Then no kubeconfig is needed: its cloud says where it is, and proves for some minutes who you are.`,
		Example: `  kubefed join gondor --host-cluster-context=rivendell
  kubefed join gondor --cluster-context=admin@gondor --labels=tier=prod --zones=us-east-1a,us-east-1b
  kubefed join gondor --dry-run=client -o yaml
  kubefed join eks:us-east-1/prod-a --profile=prod
  kubefed join gke:earth-1/europe-west4/prod mirkwood --cloud-config=clouds.yaml`,
		Args:              clusterOrReference,
		ValidArgsFunction: known.completeJoin,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runJoin(cmd.Context(), s, known, args, f, typedAgain(cmd, args))
		},
	}
	flags := cmd.Flags()
	f.FederationFlags.addFlags(cmd)
	f.accountFlags.addFlags(cmd)
	flags.StringVar(&f.clusterContext, "cluster-context", "", "kubeconfig context of the cluster (default: NAME)")
	flags.StringToStringVar(&f.labels, "labels", nil, "labels of the Cluster, such as tier=prod,team=web")
	flags.StringVar(&f.provider, "provider", "", "provider, instead of what nodes say: aws, gcp, azure, on-premises, ...")
	flags.StringVar(&f.region, "region", "", "region, instead of what nodes say")
	flags.StringSliceVar(&f.zones, "zones", nil, "zones, instead of what nodes say")
	flags.BoolVar(&f.customResources, "custom-resources", true, "let the federation extend its rights to the custom resources that it federates")
	flags.BoolVar(&f.witness, "witness", true, "run a witness in the cluster, which tells the federation whether it sees the other members; false takes it away")
	flags.StringVar(&f.witnessImage, "witness-image", "kubefed.dev/witness:"+version.Version, "image of the witness")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait for the cluster to be Ready")
	flags.StringVar(&f.dryRun, "dry-run", "none", `"client" prints what would be written, "none" writes it`)
	flags.StringVarP(&f.output, "output", "o", "", "output format: json or yaml")
	completeFlag(cmd, "cluster-context", completeContexts)
	completeFlag(cmd, "dry-run", cobra.FixedCompletions([]string{"none", "client"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runJoin(ctx context.Context, s Streams, known clouds, args []string, f joinFlags, again again) error {
	if f.output != "" && f.output != "json" && f.output != "yaml" {
		return &ExitError{Code: ExitUsage, Err: fmt.Errorf("--output=%s: must be json or yaml", f.output)}
	}
	if f.dryRun != "none" && f.dryRun != "client" {
		return &ExitError{Code: ExitUsage, Err: fmt.Errorf("--dry-run=%s: must be none or client", f.dryRun)}
	}
	if f.witness && f.witnessImage == "" {
		return &ExitError{Code: ExitUsage, Err: errors.New("--witness-image is empty: name an image, or have no witness with --witness=false")}
	}
	name, reference, err := f.meant(args)
	if err != nil {
		return &ExitError{Code: ExitUsage, Err: err}
	}
	found, err := FindFederation(ctx, f.FederationFlags)
	if err != nil {
		return err
	}
	var managed *managedCluster
	var member *rest.Config
	if reference != nil {
		if managed, err = known.find(ctx, s, f.accountFlags, *reference); err != nil {
			return err
		}
		member = managed.config
	} else if member, err = contextConfig(found.Kubeconfig, "cluster-context", f.clusterContext); err != nil {
		return err
	}
	options := cluster.JoinOptions{
		Name: name, Federation: found.Config, Member: member, Labels: f.labels, Provider: f.provider, Region: f.region, Zones: f.zones,
		CustomResources: f.customResources, Timeout: f.timeout, Progress: progressTo(s),
	}
	if reference != nil {
		options.Reference = reference.String()
	}
	if f.witness {
		options.Witness = f.witnessImage
	}
	if f.dryRun == "client" {
		return managed.explain(ctx, planJoin(ctx, s.Out, options, f.output))
	}
	result, err := cluster.Join(ctx, options)
	if err != nil && ctx.Err() != nil {
		return explainJoinInterrupted(name, f.clusterContext, found.Context, result, again)
	}
	if err != nil {
		return managed.explain(ctx, err)
	}
	if f.output != "" {
		result.Cluster.GetObjectKind().SetGroupVersionKind(federation.GroupVersion.WithKind("Cluster"))
		result.Cluster.ManagedFields = nil
		return printObject(s.Out, result.Cluster, f.output)
	}
	printJoined(s.Out, name, result)
	return nil
}

// explainJoinInterrupted says what is left and how to go on.
func explainJoinInterrupted(name, clusterContext, federationContext string, r cluster.JoinResult, again again) error {
	if r.Federation == "" {
		return errors.New("interrupted; nothing was written")
	}
	undo := fmt.Sprintf("kubefed unjoin %s --context=%s", name, federationContext)
	if clusterContext != name && clusterContext != "" {
		undo += " --cluster-context=" + clusterContext
	}
	return fmt.Errorf("interrupted\nWhat was made in cluster %s and in federation %s stays. Go on with:\n  %s\nor undo:\n  %s",
		name, r.Federation, again(), undo)
}

func printJoined(out io.Writer, name string, r cluster.JoinResult) {
	if c := r.Cleared; c != nil {
		fmt.Fprintf(out, "Carried out what was left from when cluster %q was unjoined: %s.\n", name, objects(*c))
	}
	if !r.AlreadyJoined {
		fmt.Fprintf(out, "Cluster %q joined to federation %q.\n", name, r.Federation)
		return
	}
	fmt.Fprintf(out, "Cluster %q is already joined to federation %q.\n", name, r.Federation)
	if len(r.Repaired) > 0 {
		fmt.Fprintf(out, "Put right: %s.\n", strings.Join(r.Repaired, ", "))
	}
}

// objects says what cleaning did to the federation's objects.
func objects(c cluster.Cleaning) string {
	noun := "objects"
	if c.Objects == 1 {
		noun = "object"
	}
	if c.Workloads == cluster.WorkloadsRemove {
		return fmt.Sprintf("%d %s of the federation removed", c.Objects, noun)
	}
	return fmt.Sprintf("%d %s of the federation left in the cluster, yours from now on", c.Objects, noun)
}

// planJoin prints what join would write on each side.
func planJoin(ctx context.Context, out io.Writer, o cluster.JoinOptions, format string) error {
	info, member, fed, err := cluster.PlanJoin(ctx, o)
	if err != nil {
		return err
	}
	if format == "json" {
		return printObject(out, map[string]any{
			"cluster": member, "federation": fed,
		}, format)
	}
	for _, side := range []struct {
		where   string
		objects []client.Object
	}{{fmt.Sprintf("cluster %q", o.Name), member}, {fmt.Sprintf("federation %q", info.Name), fed}} {
		for _, obj := range side.objects {
			if format == "" {
				gvk := obj.GetObjectKind().GroupVersionKind()
				fmt.Fprintf(out, "%s/%s would be applied to %s (dry run)\n", resourceName(gvk), obj.GetName(), side.where)
				continue
			}
			fmt.Fprintf(out, "---\n# in %s\n", side.where)
			if err := printObject(out, obj, format); err != nil {
				return err
			}
		}
	}
	return nil
}

func resourceName(gvk schema.GroupVersionKind) string {
	if gvk.Group == "" {
		return strings.ToLower(gvk.Kind)
	}
	return strings.ToLower(gvk.Kind) + "." + gvk.Group
}

func printObject(out io.Writer, obj any, format string) error {
	var data []byte
	var err error
	if format == "json" {
		data, err = json.MarshalIndent(obj, "", "    ")
		data = append(data, '\n')
	} else {
		data, err = yaml.Marshal(obj)
	}
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}
