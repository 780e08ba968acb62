package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"kubefed.dev/kubefed/pkg/controlplane"
	"kubefed.dev/kubefed/pkg/dns/config"
)

const initLong = `Run a new federation's control plane in a host cluster, and add a kubeconfig context named as the federation.

Everything is checked before the first write. Running it again takes up what was left half-done, repairs what is
missing, upgrades to this version's image, and changes nothing where all is as it should be. "kubefed deinit" undoes it.

The API is exposed by a Service of type LoadBalancer, NodePort, or ClusterIP; the last is reached with
"kubectl port-forward" alone and needs nothing of the host's network.

The federation's names are served by a DNS server inside the control plane, which is exposed as the API is, or written to
another provider: --dns-provider, with its options in --dns-provider-config.

It asks clouds for the state of zones, for prices and for load balancers, as the accounts in --cloud-config. On EKS and GKE it may do
that as its service account: --service-account-annotations says whom that is to the cloud.

The control plane has no rights in its host: it never calls the host's API.`

const initExample = `  # The host cluster is the kubeconfig's context "rivendell"
  kubefed init fellowship --host-cluster-context=rivendell --dns-zone-name=example.com

  # A host without load balancers
  kubefed init fellowship --host-cluster-context=rivendell --dns-zone-name=example.com --api-server-service-type=NodePort

  # Names in AWS Route 53 and, for some hosts, in a zone of BIND
  kubefed init fellowship --host-cluster-context=rivendell --dns-zone-name=example.com --dns-provider-config=dns.yaml

  # Print what would be written, keys included
  kubefed init fellowship --host-cluster-context=rivendell --dns-zone-name=example.com --dry-run=client -o yaml`

// initFlags are init's flags as typed.
type initFlags struct {
	controlplane.Options
	deadlines                      controlplane.Deadlines
	kubeconfig, dryRun, output     string
	pullPolicy, serviceType        string
	etcdCA, etcdCert, etcdKey      string
	pullSecrets, nodeSelectorPairs []string

	dnsServiceType, dnsProvider, dnsConfigFile string
	// dnsProviderGiven: the flag was typed; what is its default keeps what is there.
	dnsProviderGiven bool

	cloudConfigFile    string
	accountAnnotations []string
	cloudConfigGiven   bool
	accountAnnotate    bool
}

func newInit(s Streams) *cobra.Command {
	f := &initFlags{Options: controlplane.DefaultOptions()}
	cmd := &cobra.Command{
		Use:               "init NAME --host-cluster-context=HOST --dns-zone-name=ZONE",
		Short:             "Start a federation: run its control plane in a host cluster",
		Long:              initLong,
		Example:           initExample,
		Args:              oneName("federation"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Name = args[0]
			f.dnsProviderGiven = cmd.Flags().Changed("dns-provider")
			f.cloudConfigGiven = cmd.Flags().Changed("cloud-config")
			f.accountAnnotate = cmd.Flags().Changed("service-account-annotations")
			return runInit(cmd.Context(), f, s, typedAgain(cmd, args))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.HostContext, "host-cluster-context", "", "kubeconfig context of the cluster that runs the control plane (required)")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file to read and to add the context to (default $KUBECONFIG or ~/.kube/config)")
	flags.StringVar(&f.DNSZone, "dns-zone-name", "", "DNS zone for the federation's names, for example example.com (required)")
	flags.StringVar(&f.dnsProvider, "dns-provider", config.Embedded, "who serves the zone: "+strings.Join(config.Providers, ", "))
	flags.StringVar(&f.dnsConfigFile, "dns-provider-config", "", "file that lists zones and their providers' options (docs/dns.md); files that it names are brought along (default: as stored by an earlier kubefed init)")
	flags.StringVar(&f.dnsServiceType, "dns-service-type", "", "how the embedded DNS server is exposed: LoadBalancer, NodePort, ClusterIP or None (default: as the API)")
	flags.StringVar(&f.cloudConfigFile, "cloud-config", "", "file of accounts of clouds to ask, and of sites (docs/clouds.md); files that it names are brought along (default: as stored by an earlier kubefed init; given empty: none)")
	flags.StringSliceVar(&f.accountAnnotations, "service-account-annotations", nil, "annotations of the control plane's service account, by which its host's cloud knows it: key=value, divided by commas (default: as they are)")
	flags.StringVar(&f.Image, "image", f.Image, "image of the control plane")
	flags.StringVar(&f.pullPolicy, "image-pull-policy", string(f.PullPolicy), "Always, IfNotPresent or Never")
	flags.StringSliceVar(&f.pullSecrets, "image-pull-secrets", nil, "names of Secrets in the host's namespace federation-system for pulling the image")
	flags.StringVar(&f.serviceType, "api-server-service-type", string(f.ServiceType), "how the API is exposed: LoadBalancer, NodePort, or ClusterIP for kubectl port-forward")
	flags.StringVar(&f.AdvertiseAddress, "api-server-advertise-address", "", "address or host name at which the API is reached, in place of the one that the host gives")
	flags.Int32Var(&f.Port, "api-server-port", 0, "the load balancer's port (443), the node port (chosen by the host) or the local port to forward (6443)")
	flags.StringSliceVar(&f.Etcd.Servers, "etcd-servers", nil, "URLs of an external etcd; without it etcd runs inside the control plane")
	flags.StringVar(&f.etcdCA, "etcd-cafile", "", "file with the external etcd's certificate authority")
	flags.StringVar(&f.etcdCert, "etcd-certfile", "", "file with the client certificate for the external etcd")
	flags.StringVar(&f.etcdKey, "etcd-keyfile", "", "file with the client key for the external etcd")
	flags.BoolVar(&f.Etcd.Persistent, "etcd-persistent-storage", f.Etcd.Persistent, "keep etcd's data in a PersistentVolumeClaim; without it they die with the pod")
	flags.StringVar(&f.Etcd.Capacity, "etcd-pv-capacity", f.Etcd.Capacity, "size of the PersistentVolumeClaim")
	flags.StringVar(&f.Etcd.StorageClass, "etcd-pv-storage-class", "", "storage class of the PersistentVolumeClaim (default: the host's default class)")
	flags.StringSliceVar(&f.ArgOverrides, "apiserver-arg-overrides", nil, "flags of federation-apiserver to set or replace: --flag=value, divided by commas")
	flags.StringSliceVar(&f.nodeSelectorPairs, "node-selector", nil, "labels of the nodes that may run the control plane: key=value, divided by commas")
	flags.DurationVar(&f.deadlines.Ready, "timeout", 5*time.Minute, "how long the control plane may take to answer")
	flags.DurationVar(&f.deadlines.Address, "load-balancer-timeout", 2*time.Minute, "how long the host may take to give the API and the DNS server an address")
	flags.StringVar(&f.dryRun, "dry-run", "none", `"client" prints what would be written, without contacting the host`)
	flags.StringVarP(&f.output, "output", "o", "", "yaml or json, for --dry-run")
	completeFlag(cmd, "host-cluster-context", completeContexts)
	completeFlag(cmd, "api-server-service-type", cobra.FixedCompletions([]string{"LoadBalancer", "NodePort", "ClusterIP"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "dns-provider", cobra.FixedCompletions(config.Providers, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "dns-service-type", cobra.FixedCompletions([]string{"LoadBalancer", "NodePort", "ClusterIP", "None"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "image-pull-policy", cobra.FixedCompletions([]string{"Always", "IfNotPresent", "Never"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "dry-run", cobra.FixedCompletions([]string{"none", "client"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runInit(ctx context.Context, f *initFlags, s Streams, again again) error {
	o, err := f.options()
	if err != nil {
		return &ExitError{Code: ExitUsage, Err: err}
	}
	access := kubeconfigAccess(f.kubeconfig)
	hostConfig, err := contextConfig(access, "host-cluster-context", o.HostContext)
	if err != nil {
		return err
	}
	if f.dryRun == "client" {
		return printDryRun(o, f.output, s, again())
	}
	host, err := controlplane.Connect(o.HostContext, hostConfig)
	if err != nil {
		return err
	}
	result, err := controlplane.Init(ctx, host, o, access, f.deadlines, progressTo(s))
	if err != nil {
		return explainInit(ctx, err, o, result, again)
	}
	printInit(o, result, access, s)
	return nil
}

// options turns flags into options and checks all that can be checked without the host.
func (f *initFlags) options() (controlplane.Options, error) {
	o := f.Options
	o.PullPolicy, o.ServiceType, o.PullSecrets = corev1.PullPolicy(f.pullPolicy), corev1.ServiceType(f.serviceType), f.pullSecrets
	o.DNS.ServiceType = corev1.ServiceType(f.dnsServiceType)
	var err error
	if o.DNS.Config, o.DNS.Files, err = f.dnsConfig(); err != nil {
		return o, err
	}
	if o.Cloud, err = f.clouds(); err != nil {
		return o, err
	}
	for _, file := range []struct {
		flag, path string
		into       *[]byte
	}{{"etcd-cafile", f.etcdCA, &o.Etcd.CA}, {"etcd-certfile", f.etcdCert, &o.Etcd.Cert}, {"etcd-keyfile", f.etcdKey, &o.Etcd.Key}} {
		if file.path == "" {
			continue
		}
		data, err := os.ReadFile(file.path)
		if err != nil {
			return o, fmt.Errorf("--%s: %w", file.flag, err)
		}
		*file.into = data
	}
	if o.NodeSelector, err = pairs("node-selector", f.nodeSelectorPairs); err != nil {
		return o, err
	}
	if o.ServiceAccountAnnotations, err = pairs("service-account-annotations", f.accountAnnotations); err != nil {
		return o, err
	}
	if f.accountAnnotate && o.ServiceAccountAnnotations == nil {
		o.ServiceAccountAnnotations = map[string]string{} // none, rather than as they are
	}
	switch {
	case f.dryRun != "none" && f.dryRun != "client":
		return o, fmt.Errorf("--dry-run=%s: use client or none", f.dryRun)
	case f.output != "" && f.dryRun == "none":
		return o, fmt.Errorf("--output=%s goes with --dry-run=client alone", f.output)
	case f.output != "" && f.output != "yaml" && f.output != "json":
		return o, fmt.Errorf("--output=%s: use yaml or json", f.output)
	}
	return o.Validate()
}

// pairs reads key=value; nil without any.
func pairs(flag string, list []string) (map[string]string, error) {
	var all map[string]string
	for _, pair := range list {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("--%s: %q: write key=value", flag, pair)
		}
		if all == nil {
			all = map[string]string{}
		}
		all[key] = value
	}
	return all, nil
}

// printDryRun prints what Init would write into an empty host.
func printDryRun(o controlplane.Options, output string, s Streams, again string) error {
	var hosts []string
	if o.AdvertiseAddress != "" {
		hosts = []string{o.AdvertiseAddress}
	}
	credentials, err := controlplane.CompleteCredentials(controlplane.Credentials{}, o.Name, controlplane.ServingHosts(hosts), time.Now())
	if err != nil {
		return err
	}
	return printManifests(o, credentials, output, s, again)
}

func printManifests(o controlplane.Options, credentials controlplane.Credentials, output string, s Streams, again string) error {
	objects := controlplane.Manifests(o, credentials)
	switch output {
	case "json":
		list, err := controlplane.RenderList(objects)
		if err != nil {
			return err
		}
		encoder := json.NewEncoder(s.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(list)
	case "yaml":
		documents, err := controlplane.RenderYAML(objects)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "# The Secrets below hold the federation's private keys: encrypt them before you store this anywhere.\n"+
			"# Once this is applied, run\n#   %s\n# to put the API's address into its certificate and the context into your kubeconfig.\n%s",
			strings.ReplaceAll(again, "\n", " "), documents)
		return nil
	}
	for _, obj := range objects {
		fmt.Fprintf(s.Out, "%s/%s created (dry run)\n", strings.ToLower(obj.GetObjectKind().GroupVersionKind().Kind), obj.GetName())
	}
	return nil
}

func printInit(o controlplane.Options, r controlplane.Result, access clientcmd.ConfigAccess, s Streams) {
	note := noteTo(s)
	switch {
	case r.Fresh:
		fmt.Fprintf(s.Out, "Federation %q created.\n", o.Name)
		note("Its API is at %s; next: kubectl config use-context %s", r.Endpoint.Server, o.Name)
	case r.Changes > 0:
		fmt.Fprintf(s.Out, "Federation %q updated.\n", o.Name)
	default:
		fmt.Fprintf(s.Out, "Federation %q unchanged.\n", o.Name)
	}
	if r.Fresh || r.Changes > 0 {
		printDNS(o, r, s)
	}
	if r.Endpoint.PortForward != 0 {
		note("To reach its API, keep this running:\n  %s", portForward(o.HostContext, r.Endpoint.PortForward))
	}
	if config, err := access.GetStartingConfig(); err == nil && r.Fresh && config.CurrentContext == "" {
		note("The kubeconfig has no current context yet.")
	}
}

func portForward(hostContext string, port int32) string {
	return fmt.Sprintf("kubectl --context=%s -n %s port-forward service/%s %d:443", hostContext, controlplane.Namespace, controlplane.Name, port)
}

// explainInit says after a failure what is left in the host and how to go on.
func explainInit(ctx context.Context, err error, o controlplane.Options, r controlplane.Result, again again) error {
	other := again("api-server-service-type", "load-balancer-timeout")
	undo := fmt.Sprintf("kubefed deinit %s --host-cluster-context=%s", o.Name, o.HostContext)
	switch {
	case errors.Is(err, controlplane.ErrNoDNSAddress):
		dns := again("dns-service-type", "load-balancer-timeout")
		return fmt.Errorf("%w\nCan the host's load balancers have UDP and TCP at one address? Go on without one:\n  %s --dns-service-type=NodePort\n"+
			"  %s --dns-service-type=None\nwait longer:\n  %s --load-balancer-timeout=10m\nor undo:\n  %s", err, dns, dns, again("load-balancer-timeout"), undo)
	case errors.Is(err, controlplane.ErrNoAddress):
		return fmt.Errorf("%w\nDoes the host have a load balancer controller? Go on without one:\n  %s --api-server-service-type=NodePort\n"+
			"  %s --api-server-service-type=ClusterIP   (reached by kubectl port-forward)\nwait longer:\n  %s --load-balancer-timeout=10m\nor undo:\n  %s", err, other, other, again("load-balancer-timeout"), undo)
	case r.Changes == 0 && ctx.Err() == nil:
		return err
	case r.Changes == 0:
		return errors.New("interrupted; nothing was written")
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	return fmt.Errorf("%w\nWhat was made in host cluster %s stays. Go on with:\n  %s\nor undo:\n  %s", err, o.HostContext, again(), undo)
}
