package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cluster"
)

// reachTimeout is how long the API server of a managed cluster may take for its first answer.
const reachTimeout = 10 * time.Second

// clusterOrReference wants the name of a cluster, or a reference, and maybe a name for it.
func clusterOrReference(cmd *cobra.Command, args []string) error {
	if len(args) == 2 && cloud.IsReference(args[0]) {
		return nil
	}
	return oneName("cluster")(cmd, args)
}

// meant is the cluster's name in the federation, and what it is in its cloud, if it is given by that.
func (f *joinFlags) meant(args []string) (name string, reference *cloud.Reference, err error) {
	if !cloud.IsReference(args[0]) {
		if f.accountFlags != (accountFlags{}) {
			return "", nil, fmt.Errorf("--cloud-config, --account and --profile are for managed clusters, and %s is a context of the kubeconfig: leave them out, or name the cluster as kubefed discover does", args[0])
		}
		if f.clusterContext == "" {
			f.clusterContext = args[0]
		}
		return args[0], nil, nil
	}
	r, err := cloud.ParseReference(args[0])
	if err != nil {
		return "", nil, err
	}
	if f.clusterContext != "" {
		return "", nil, fmt.Errorf("--cluster-context=%s: %s needs no kubeconfig; leave one of both out", f.clusterContext, r)
	}
	if len(args) == 2 {
		return args[1], &r, nil
	}
	return dnsLabel(r.Name), &r, nil
}

var notLabel = regexp.MustCompile(`[^a-z0-9]+`)

// dnsLabel is a name as a DNS label; empty where nothing is left of it.
func dnsLabel(name string) string {
	label := strings.Trim(notLabel.ReplaceAllString(strings.ToLower(name), "-"), "-")
	return strings.TrimRight(label[:min(len(label), 63)], "-")
}

// managedCluster is one that its cloud led to.
type managedCluster struct {
	cloud.Cluster
	account config.Account
	finder  cloud.Finder
	config  *rest.Config
}

// find asks the clouds for a cluster, and proves to it who asks.
func (c clouds) find(ctx context.Context, s Streams, f accountFlags, r cloud.Reference) (*managedCluster, error) {
	progress := progressTo(s)
	progress("looking for %s", r)
	accounts, err := f.accounts(providerOf(r.Service), r.Project)
	if err != nil {
		return nil, err
	}
	m, err := c.one(ctx, f, accounts, r)
	if err != nil {
		return nil, err
	}
	if !m.Usable || m.Endpoint == "" {
		return nil, m.unusable()
	}
	token, _, err := m.finder.Token(ctx, m.Cluster)
	if err != nil {
		return nil, fmt.Errorf("getting a token for %s: %w", r, err)
	}
	m.config = &rest.Config{Host: m.Endpoint, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: m.CA}, UserAgent: "kubefed"}
	progress("asking the API server of %s at %s", r, m.Endpoint)
	return m, m.answers(ctx)
}

// one is the cluster in the account that has it.
func (c clouds) one(ctx context.Context, f accountFlags, accounts []config.Account, r cloud.Reference) (*managedCluster, error) {
	var found []*managedCluster
	var failed, absent []error
	var finders []cloud.Finder
	for _, account := range accounts {
		finder, err := c.openAs(ctx, f, account)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		got, err := finder.Cluster(ctx, r)
		switch {
		case err == nil:
			found = append(found, &managedCluster{Cluster: got, account: account, finder: finder})
		case cloud.KindOf(err) == cloud.NotFound:
			absent, finders = append(absent, err), append(finders, finder)
		default:
			failed = append(failed, err)
		}
	}
	switch {
	case len(found) == 1, len(found) > 1 && r.Service == cloud.GKE: // of a project there is one
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%s is in several accounts: %s; say by --account which is meant", r, strings.Join(names(found), ", "))
	case len(failed) > 0:
		return nil, fmt.Errorf("looking for %s: %w", r, errors.Join(failed...))
	}
	return nil, missing(ctx, finders, r, errors.Join(absent...))
}

func names(found []*managedCluster) []string {
	var all []string
	for _, m := range found {
		all = append(all, m.account.Name)
	}
	return all
}

// missing says which clusters there are in place of one that there is not.
func missing(ctx context.Context, finders []cloud.Finder, r cloud.Reference, err error) error {
	var others []cloud.Cluster
	for _, finder := range finders {
		// What can't be listed is not worth a second error.
		list, _ := finder.Clusters(ctx, []string{r.Location})
		if len(list) == 0 {
			list, _ = finder.Clusters(ctx, nil)
		}
		others = append(others, list...)
	}
	near, all := nearest(r, others)
	const most = 10
	switch {
	case near != "":
		return fmt.Errorf("there is no cluster %s; did you mean %s?", r, near)
	case len(all) == 0:
		return fmt.Errorf("there is no cluster %s (%w); see which there are with kubefed discover %s", r, err, providerOf(r.Service))
	case len(all) > most:
		return fmt.Errorf("there is no cluster %s; there are %s, and %d more: kubefed discover %s", r, strings.Join(all[:most], ", "), len(all)-most, providerOf(r.Service))
	}
	return fmt.Errorf("there is no cluster %s; there are %s", r, strings.Join(all, ", "))
}

// nearest is the reference that is most alike to one that was not found, "" for none that is, and all.
func nearest(wanted cloud.Reference, found []cloud.Cluster) (near string, all []string) {
	best := len(wanted.Name)/2 + 1
	for _, c := range found {
		all = append(all, c.Reference.String())
		if d := distance(wanted.Name, c.Reference.Name); d < best {
			best, near = d, c.Reference.String()
		}
	}
	slices.Sort(all)
	return near, all
}

// distance is Levenshtein's: how many letters to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}

func (m *managedCluster) unusable() error {
	if m.Usable || m.State == "" {
		return fmt.Errorf("%s has no endpoint that can be used; see its network settings in the cloud", m.Reference)
	}
	good := "ACTIVE"
	if m.Reference.Service == cloud.GKE {
		good = "RUNNING"
	}
	return fmt.Errorf("%s is %s; wait until it is %s, or see in the cloud what it lacks", m.Reference, m.State, good)
}

// answers asks the cluster's API server for its version, and says what to do where it does not tell.
func (m *managedCluster) answers(ctx context.Context) error {
	probe := rest.CopyConfig(m.config)
	probe.Timeout = reachTimeout
	client, err := discovery.NewDiscoveryClientForConfig(probe)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", m.Reference, err)
	}
	_, err = client.ServerVersion()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.New("interrupted; nothing was written")
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server of %s does not know %s; %s", m.Reference, m.who(ctx), m.admit(ctx))
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the API server of %s lets %s do nothing (%w); %s", m.Reference, m.who(ctx), err, m.admit(ctx))
	case isCertificate(err):
		return fmt.Errorf("the API server of %s at %s has another certificate than its cloud says (%w); is there a proxy on the way?", m.Reference, m.Endpoint, err)
	}
	return fmt.Errorf("reaching %s at %s: %w; its endpoint may be a private one: run kubefed where it is reached, or open it for where you are:\n  %s\n"+
		"The federation's control plane has to reach it as well", m.Reference, m.Endpoint, err, m.open())
}

func isCertificate(err error) bool {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return unknown || host || invalid
}

// explain adds to an error of joining what its cloud can do about it.
func (m *managedCluster) explain(ctx context.Context, err error) error {
	if m == nil || err == nil {
		return err
	}
	if rights, ok := errors.AsType[*cluster.RightsError](err); ok && rights.Member {
		return fmt.Errorf("%w\nIn its cloud: %s", err, m.admit(ctx))
	}
	return err
}

// who is as whom the cluster is asked.
func (m *managedCluster) who(ctx context.Context) string {
	if id := m.identity(ctx); id != "" {
		return id
	}
	return "who the credentials of account " + m.account.Name + " are"
}

func (m *managedCluster) identity(ctx context.Context) string {
	known, ok := m.finder.(cloud.Identifier)
	if !ok {
		return ""
	}
	id, err := known.Identity(ctx)
	if err != nil {
		return ""
	}
	return id
}

var assumed = regexp.MustCompile(`^(arn:[a-z-]+):sts::([0-9]+):assumed-role/([^/]+)/.*$`)

// admit says how the cluster is made to take who asks as its administrator.
func (m *managedCluster) admit(ctx context.Context) string {
	r := m.Reference
	id := m.identity(ctx)
	if r.Service == cloud.GKE {
		member := "user:YOU"
		switch {
		case strings.HasSuffix(id, ".gserviceaccount.com"):
			member = "serviceAccount:" + id
		case id != "":
			member = "user:" + id
		}
		return fmt.Sprintf("make it the administrator of clusters with:\n  gcloud projects add-iam-policy-binding %s --member=%s --role=roles/container.admin", r.Project, member)
	}
	principal := assumed.ReplaceAllString(id, "$1:iam::$2:role/$3")
	if principal == "" {
		principal = "ARN"
	}
	partition := "aws"
	if parts := strings.Split(principal, ":"); len(parts) > 1 {
		partition = parts[1]
	}
	where := fmt.Sprintf("--region=%s --cluster-name=%s --principal-arn=%s", r.Location, r.Name, principal)
	return fmt.Sprintf("give it an access entry with:\n  aws eks create-access-entry %s\n"+
		"  aws eks associate-access-policy %s --access-scope=type=cluster --policy-arn=arn:%s:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", where, where, partition)
}

// open says how the endpoint is opened.
func (m *managedCluster) open() string {
	r := m.Reference
	if r.Service == cloud.GKE {
		return fmt.Sprintf("gcloud container clusters update %s --project=%s --location=%s --enable-master-authorized-networks --master-authorized-networks=YOUR-NETWORK", r.Name, r.Project, r.Location)
	}
	return fmt.Sprintf("aws eks update-cluster-config --region=%s --name=%s --resources-vpc-config=endpointPublicAccess=true,publicAccessCidrs=YOUR-NETWORK", r.Location, r.Name)
}

// completeJoin offers contexts, and clusters of a cloud where a reference was begun.
func (c clouds) completeJoin(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if !cloud.IsReference(begun) {
		return completeContexts(cmd, args, begun)
	}
	service, rest, _ := strings.Cut(begun, ":")
	project, _, complete := strings.Cut(rest, "/")
	var regions []string
	if complete && service == cloud.EKS {
		project, regions = "", []string{project} // there the first part is the region
	}
	var f accountFlags
	for flag, into := range map[string]*string{"cloud-config": &f.config, "account": &f.account, "profile": &f.profile} {
		*into, _ = cmd.Flags().GetString(flag)
	}
	if service == cloud.GKE && !complete && f.config == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), completeTimeout)
	defer cancel()
	accounts, err := f.accounts(providerOf(service), project)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var references []string
	for _, account := range accounts {
		clusters, _ := findClusters(ctx, c, f, account, regions)
		for _, found := range clusters {
			references = append(references, found.Reference)
		}
	}
	return references, cobra.ShellCompDirectiveNoFileComp
}
