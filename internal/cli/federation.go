package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cluster"
	"kubefed.dev/kubefed/pkg/controlplane"
)

// FederationFlags say which federation a command works on.
type FederationFlags struct {
	Kubeconfig  string
	Context     string
	HostContext string
}

// addFlags adds the flags, named as kubectl's and Federation v1's.
func (f *FederationFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: KUBECONFIG, else ~/.kube/config)")
	flags.StringVar(&f.Context, "context", "", "kubeconfig context of the federation (default: the current one if it is a federation, else the one of the federation that --host-cluster-context hosts)")
	flags.StringVar(&f.HostContext, "host-cluster-context", "", "kubeconfig context of the host cluster, or of the federation itself")
	completeFlag(cmd, "context", completeContexts)
	completeFlag(cmd, "host-cluster-context", completeContexts)
}

// Federation is the federation that a command works on.
type Federation struct {
	cluster.Info
	// Context is the kubeconfig context that leads to it.
	Context string
	Config  *rest.Config
	// Kubeconfig is where the context is.
	Kubeconfig clientcmd.ConfigAccess
}

// lookTimeout bounds one question to a context that may be a federation.
const lookTimeout = 10 * time.Second

// FindFederation finds the federation that the flags mean:
//
//  1. --context;
//  2. the current context, if it is a federation;
//  3. --host-cluster-context: a federation itself, or the host of one, whose name `kubefed init` noted there and gave
//     to a context.
func FindFederation(ctx context.Context, f FederationFlags) (Federation, error) {
	access := kubeconfigAccess(f.Kubeconfig)
	config, err := access.GetStartingConfig()
	if err != nil {
		return Federation{}, fmt.Errorf("reading the kubeconfig: %w: name the right file by --kubeconfig", err)
	}
	if f.HostContext != "" {
		// A misspelt one is a mistake even where the current context answers the question.
		if _, err := contextConfig(access, "host-cluster-context", f.HostContext); err != nil {
			return Federation{}, err
		}
	}
	if f.Context != "" {
		return askContext(ctx, access, "context", f.Context)
	}
	var why error
	if config.CurrentContext != "" {
		found, err := askContext(ctx, access, "context", config.CurrentContext)
		if err == nil {
			return found, nil
		}
		why = err
	}
	if f.HostContext == "" {
		return Federation{}, notFound(why)
	}
	found, err := askContext(ctx, access, "host-cluster-context", f.HostContext)
	if err == nil || !errors.Is(err, cluster.ErrNotFederation) {
		return found, err
	}
	return hosted(ctx, access, f.HostContext)
}

func notFound(why error) error {
	const advice = "name the federation's context by --context or its host's by --host-cluster-context, or make a federation with `kubefed init`"
	if why == nil {
		return errors.New("the kubeconfig has no current context: " + advice)
	}
	return fmt.Errorf("%w; %s", why, advice)
}

// askContext asks what a context leads to.
func askContext(ctx context.Context, access clientcmd.ConfigAccess, flag, name string) (Federation, error) {
	restConfig, err := contextConfig(access, flag, name)
	if err != nil {
		return Federation{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	info, err := cluster.ReadInfo(bounded, restConfig)
	if err != nil {
		return Federation{}, fmt.Errorf("context %q: %w", name, err)
	}
	return Federation{Info: info, Context: name, Config: restConfig, Kubeconfig: access}, nil
}

// hosted finds the federation whose control plane runs in a host cluster.
func hosted(ctx context.Context, access clientcmd.ConfigAccess, host string) (Federation, error) {
	restConfig, err := contextConfig(access, "host-cluster-context", host)
	if err != nil {
		return Federation{}, err
	}
	core, err := corev1client.NewForConfig(restConfig)
	if err != nil {
		return Federation{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	namespace, err := core.Namespaces().Get(bounded, federation.SystemNamespace, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return Federation{}, fmt.Errorf("asking host cluster %q which federation it hosts: %w", host, err)
	}
	name := ""
	if err == nil {
		name = namespace.Annotations[controlplane.AnnotationName]
	}
	if name == "" {
		return Federation{}, fmt.Errorf("cluster %q hosts no federation: run `kubefed init NAME --host-cluster-context=%s --dns-zone-name=ZONE` first", host, host)
	}
	config, err := access.GetStartingConfig()
	if err != nil {
		return Federation{}, err
	}
	if config.Contexts[name] == nil {
		return Federation{}, fmt.Errorf("cluster %q hosts federation %q, but the kubeconfig has no context of that name: run `kubefed init %s --host-cluster-context=%s` again, which writes it",
			host, name, name, host)
	}
	return askContext(ctx, access, "context", name)
}
