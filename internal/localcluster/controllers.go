package localcluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
)

// controllers are those that users of a small cluster notice. Each further one costs informers at rest.
var controllers = []string{
	names.BootstrapSignerController,
	names.CertificateSigningRequestApprovingController,
	names.CertificateSigningRequestCleanerController,
	names.CertificateSigningRequestSigningController,
	names.ClusterRoleAggregationController,
	names.CronJobController,
	names.DaemonSetController,
	names.DeploymentController,
	names.DisruptionController,
	names.EndpointSliceController,
	names.EndpointSliceMirroringController,
	names.EndpointsController,
	names.GarbageCollectorController,
	names.JobController,
	names.NamespaceController,
	names.NodeLifecycleController,
	names.PersistentVolumeBinderController,
	names.PersistentVolumeClaimProtectionController,
	names.PersistentVolumeProtectionController,
	names.PodGarbageCollectorController,
	names.ReplicaSetController,
	names.ReplicationControllerController,
	names.ResourceQuotaController,
	names.RootCACertificatePublisherController,
	names.ServiceAccountController,
	names.ServiceAccountTokenController,
	names.StatefulSetController,
	names.TTLAfterFinishedController,
	names.TaintEvictionController,
	names.TokenCleanerController,
	names.ValidatingAdmissionPolicyStatusController,
}

// runControllers runs kube-controller-manager without a port of its own until ctx ends.
func runControllers(ctx context.Context, c Config, f files) error {
	opts, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	all, off, aliases := app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()
	flags := pflag.NewFlagSet("kube-controller-manager", pflag.ContinueOnError)
	sets := opts.Flags(all, off, aliases)
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(controllerFlags(c, f)); err != nil {
		return err
	}
	config, err := opts.Config(ctx, all, off, aliases)
	if err != nil {
		return fmt.Errorf("configuring kube-controller-manager: %w", err)
	}
	if err := app.Run(ctx, config.Complete()); err != nil && ctx.Err() == nil {
		return fmt.Errorf("kube-controller-manager ended: %w", err)
	}
	return nil
}

func controllerFlags(c Config, f files) []string {
	return []string{
		"--kubeconfig=" + c.KubeconfigPath(),
		"--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false",
		"--secure-port=0",
		"--controller-start-interval=0s",
		"--kube-api-qps=-1",
		"--kube-api-content-type=application/vnd.kubernetes.protobuf",
		"--root-ca-file=" + f.caCert,
		"--service-account-private-key-file=" + f.serviceAccountKey,
		"--cluster-signing-cert-file=" + f.caCert,
		"--cluster-signing-key-file=" + f.caKey,
		"--enable-dynamic-provisioning=true",
		"--profiling=false",
	}
}
