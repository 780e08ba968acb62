package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

const discoverLong = `List the EKS and GKE clusters that your credentials can see, and which of them have joined the federation.

"kubefed join REFERENCE" joins one without a kubeconfig. What can't be listed is told on stderr, and the exit code is 1: the
list is not whole then. Nothing in the cloud is changed.

Without --cloud-config AWS is asked as profile "default" of the AWS CLI's configuration (--profile names another), and Google Cloud
with gcloud's application default credentials about --project. Nothing else is taken from the environment.`

type discoverFlags struct {
	FederationFlags
	accountFlags
	regions []string
	output  string
}

// discovered is what `kubefed discover` prints.
type discovered struct {
	Clusters []discoveredCluster `json:"clusters"`
	// Errors say what could not be listed.
	Errors []string `json:"errors,omitempty"`
	// Federation that Joined is about; empty where none could be asked.
	Federation string `json:"federation,omitempty"`
}

type discoveredCluster struct {
	Reference string   `json:"reference"`
	Account   string   `json:"account"`
	Region    string   `json:"region"`
	Zones     []string `json:"zones,omitempty"`
	Version   string   `json:"version,omitempty"`
	State     string   `json:"state,omitempty"`
	Usable    bool     `json:"usable"`
	Endpoint  string   `json:"endpoint,omitempty"`
	// Joined is its name in the federation.
	Joined string `json:"joined,omitempty"`
}

func newDiscover(s Streams, known clouds) *cobra.Command {
	var f discoverFlags
	cmd := &cobra.Command{
		Use:   "discover aws|gcp",
		Short: "List the clusters of a cloud, and which have joined",
		Long:  discoverLong,
		Example: `  kubefed discover aws --region=us-east-1,eu-west-1
  kubefed discover gcp --project=earth-1 -o wide
  kubefed discover aws --cloud-config=clouds.yaml --account=prod -o name`,
		Args:      oneProvider,
		ValidArgs: cloudProviders,
		RunE:      func(cmd *cobra.Command, args []string) error { return runDiscover(cmd.Context(), s, known, args[0], f) },
	}
	f.FederationFlags.addFlags(cmd)
	f.accountFlags.addFlags(cmd)
	f.addProject(cmd)
	cmd.Flags().StringSliceVar(&f.regions, "region", nil, "regions to list (default: those of the account, else all)")
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "output format: json, yaml, wide or name")
	completeFlag(cmd, "output", cobra.FixedCompletions([]string{"json", "yaml", "wide", "name"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// oneProvider wants the name of a cloud.
func oneProvider(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || !slices.Contains(cloudProviders, args[0]) {
		return &ExitError{ExitUsage, fmt.Errorf("%s wants aws or gcp, got %q; see %s --help", cmd.CommandPath(), args, cmd.CommandPath())}
	}
	return nil
}

func runDiscover(ctx context.Context, s Streams, known clouds, provider string, f discoverFlags) error {
	if !slices.Contains([]string{"", "json", "yaml", "wide", "name"}, f.output) {
		return &ExitError{ExitUsage, fmt.Errorf("--output=%s: use json, yaml, wide or name", f.output)}
	}
	accounts, err := f.accounts(provider, "")
	if err != nil {
		return err
	}
	var list discovered
	var failed []error
	for _, account := range accounts {
		progressTo(s)("asking %s as account %s", provider, account.Name)
		clusters, err := findClusters(ctx, known, f.accountFlags, account, f.regions)
		failed = append(failed, each(err)...)
		list.Clusters = append(list.Clusters, clusters...)
	}
	for _, err := range failed {
		list.Errors = append(list.Errors, err.Error())
	}
	if f.output != "name" && len(list.Clusters) > 0 {
		if list.Federation, err = markJoined(ctx, f.FederationFlags, list.Clusters); err != nil {
			noteTo(s)("Which have joined is not known: %v", err)
		}
	}
	if err := printDiscovered(s, list, f.output); err != nil {
		return err
	}
	if len(failed) > 0 {
		return &ExitError{ExitFailed, fmt.Errorf("not everything could be listed:\n%w", errors.Join(failed...))}
	}
	if len(list.Clusters) == 0 {
		noteTo(s)("There are no clusters%s.", suffix(" in ", strings.Join(f.regions, ", ")))
	}
	return nil
}

func findClusters(ctx context.Context, known clouds, f accountFlags, account config.Account, regions []string) ([]discoveredCluster, error) {
	finder, err := known.openAs(ctx, f, account)
	if err != nil {
		return nil, err
	}
	found, err := finder.Clusters(ctx, regions)
	list := make([]discoveredCluster, 0, len(found))
	for _, c := range found {
		list = append(list, discoveredCluster{Reference: c.Reference.String(), Account: account.Name, Region: c.Region, Zones: c.Zones, Version: c.Version,
			State: c.State, Usable: c.Usable, Endpoint: c.Endpoint})
	}
	return list, err
}

// markJoined fills in which clusters have joined, by what their cloud calls them or by the address of their API.
func markJoined(ctx context.Context, f FederationFlags, clusters []discoveredCluster) (name string, err error) {
	found, err := FindFederation(ctx, f)
	if err != nil {
		return "", err
	}
	reader, err := newReader(found.Config)
	if err != nil {
		return "", err
	}
	var joined federation.ClusterList
	if err := reader.List(ctx, &joined); err != nil {
		return "", fmt.Errorf("listing the clusters of federation %q: %w", found.Name, err)
	}
	names := map[string]string{}
	for _, c := range joined.Items {
		names[place(c.Spec.Server)] = c.Name
		if r := c.Annotations[federation.AnnotationReference]; r != "" {
			names[r] = c.Name
		}
	}
	for i := range clusters {
		clusters[i].Joined = names[clusters[i].Reference]
		if clusters[i].Joined == "" && clusters[i].Endpoint != "" {
			clusters[i].Joined = names[place(clusters[i].Endpoint)]
		}
	}
	return found.Name, nil
}

// place is a URL in a form that can be compared.
func place(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return strings.ToLower(u.Hostname()) + ":" + port + strings.TrimSuffix(u.Path, "/")
}

func printDiscovered(s Streams, list discovered, output string) error {
	switch output {
	case "json", "yaml":
		if list.Clusters == nil {
			list.Clusters = []discoveredCluster{}
		}
		return printAs(s, output, list)
	case "name":
		for _, c := range list.Clusters {
			fmt.Fprintln(s.Out, c.Reference)
		}
		return nil
	}
	if len(list.Clusters) == 0 {
		return nil
	}
	columns := []string{"REFERENCE", "REGION", "VERSION", "STATE", "JOINED"}
	if output == "wide" {
		columns = append(columns, "ACCOUNT", "ZONES", "ENDPOINT")
	}
	aligned(s.Out, "", columns)(func(row func(...string)) {
		for _, c := range list.Clusters {
			joined := dash(c.Joined)
			if list.Federation == "" {
				joined = "?"
			}
			cells := []string{c.Reference, c.Region, dash(c.Version), dash(c.State), joined}
			if output == "wide" {
				cells = append(cells, c.Account, dash(strings.Join(c.Zones, ",")), dash(c.Endpoint))
			}
			row(cells...)
		}
	})
	return nil
}
