package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"kubefed.dev/kubefed/internal/version"
	"kubefed.dev/kubefed/pkg/apiserver"
)

func init() {
	if err := logsapi.AddFeatureGates(utilfeature.DefaultMutableFeatureGate); err != nil {
		panic(err)
	}
}

// newCommand is the server; its subcommands run parts of it.
func newCommand() *cobra.Command {
	options := apiserver.NewOptions()
	controllers := newControllerOptions()
	cmd := &cobra.Command{
		Use:   "federation-apiserver",
		Short: "Serve the federation API and run the federation's controllers",
		Long: `Serve the federation API, a Kubernetes API for many clusters, and run the federation's controllers.

Alone it needs nothing but a directory: federation-apiserver --data-dir DIR stores in an etcd of its own there, makes
certificates, serves on the loopback interface and writes DIR/admin.kubeconfig.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := startProcess(options.Kube.Logs); err != nil {
				return err
			}
			return serve(cmd.Context(), options, controllers)
		},
	}
	named := options.Flags()
	controllers.addFlags(named.FlagSet("controllers"))
	addFlags(cmd, named)
	cmd.AddCommand(newControllersCommand(), newVersionCommand())
	return cmd
}

// newControllersCommand runs the controllers beside servers that run with --controllers= .
func newControllersCommand() *cobra.Command {
	controllers := newControllerOptions()
	logOptions := logs.NewOptions()
	serving := newServingOptions()
	cmd := &cobra.Command{
		Use:   "controllers --kubeconfig FILE",
		Short: "Run only the controllers",
		Long: `Run only the controllers, beside servers that run with --controllers= .

Metrics and health are served on a port of their own. Everything but /healthz, /livez and /readyz needs a name and a right
that the federation API knows.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := startProcess(logOptions); err != nil {
				return err
			}
			if err := errors.Join(controllers.validate(), serving.validate()); err != nil {
				return err
			}
			config, err := clientcmd.BuildConfigFromFlags("", serving.kubeconfig)
			if err != nil {
				return fmt.Errorf("reading --kubeconfig %s: %w: name a kubeconfig of the federation API", serving.kubeconfig, err)
			}
			flush, err := traceControllers(cmd.Context(), config, os.Getenv)
			if err != nil {
				return err
			}
			defer flush()
			if err := serving.serve(cmd.Context(), config, &controllers.running); err != nil {
				return err
			}
			zones, err := controllers.dns.open(cmd.Context(), "", "")
			if err != nil {
				return err
			}
			controllers.zones = zones
			defer zones.wait()
			if err := controllers.awaitTurn(); err != nil {
				return err
			}
			return controllers.run(cmd.Context(), config)
		},
	}
	var named cliflag.NamedFlagSets
	fs := named.FlagSet("controllers")
	fs.StringVar(&serving.kubeconfig, "kubeconfig", "", "Kubeconfig of the federation API.")
	fs.StringVar(&controllers.signing.CertFile, "cluster-signing-cert-file", "", "Certificate of the authority that signs CertificateSigningRequests.")
	fs.StringVar(&controllers.signing.KeyFile, "cluster-signing-key-file", "", "Key of the authority that signs CertificateSigningRequests.")
	controllers.addFlags(fs)
	serving.addFlags(named.FlagSet("secure serving"))
	logsapi.AddFlags(logOptions, named.FlagSet("logs"))
	addFlags(cmd, named)
	return cmd
}

func addFlags(cmd *cobra.Command, named cliflag.NamedFlagSets) {
	for _, name := range named.Order {
		cmd.Flags().AddFlagSet(named.FlagSets[name])
	}
	cliflag.SetUsageAndHelpFunc(cmd, named, 0)
}

// startProcess sets what is global in a process: logs, and the garbage collector's pace.
func startProcess(options *logs.Options) error {
	if err := logsapi.ValidateAndApply(options, utilfeature.DefaultFeatureGate); err != nil {
		return fmt.Errorf("configuring logs: %w", err)
	}
	ctrl.SetLogger(klog.Background())
	// Every client of etcd that is closed while it connects warns of it. What fails for good is an error elsewhere.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr))
	// The server's own clients need not be told of deprecated versions that they themselves chose.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	return nil
}

// serve runs the server, and the controllers beside it. The controllers end first: they give their lease back through
// the server.
func serve(ctx context.Context, options *apiserver.Options, controllers *controllerOptions) error {
	if err := controllers.validate(); err != nil {
		return err
	}
	started := time.Now()
	serverCtx, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	// Names are answered before the API is up, and until it has ended.
	zones, err := controllers.dns.open(serverCtx, options.DNSZoneName, options.DataDir)
	if err != nil {
		stopServer()
		return err
	}
	controllers.zones = zones
	defer zones.wait()
	defer stopServer()
	if len(options.Kube.Etcd.StorageConfig.Transport.ServerList) > 0 {
		if err := controllers.awaitTurn(); err != nil {
			return err
		}
	}
	if _, err := zones.of(options.FederationName); err != nil {
		return err
	}
	server, err := apiserver.New(serverCtx, options)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Run(serverCtx) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		stopServer()
		return <-served
	case <-server.Ready():
	}
	klog.FromContext(ctx).Info("federation API is ready", "address", server.Config().Host,
		"kubeconfig", server.Kubeconfig(), "seconds", time.Since(started).Seconds())
	controllers.signing = server.Signing()
	if server.Embedded() {
		controllers.soleOwner()
	}
	controlCtx, stopControl := context.WithCancel(ctx)
	defer stopControl()
	controlled := make(chan error, 1)
	go func() { controlled <- controllers.run(controlCtx, server.Config()) }()
	select {
	case err = <-served: // the server can't go on: neither can the controllers
		stopControl()
		return errors.Join(err, <-controlled)
	case err = <-controlled:
		stopServer()
		return errors.Join(err, <-served)
	}
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "federation-apiserver %s (Kubernetes API %s)\n", version.Get().Version, apiserver.KubernetesVersion())
			return err
		},
	}
}
