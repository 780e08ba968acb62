// Package localcluster runs one complete Kubernetes cluster inside the calling process: an embedded etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler as libraries, and the nodes of package node. It takes a Config and a
// folder, and leaves a kubeconfig in that folder; data, certificates and address stay there, so that a cluster that was
// killed comes back as itself.
//
// One cluster per process: Kubernetes' feature gates, informer names and admission capabilities are process-wide. It is
// made for tests, benchmarks and the playground: etcd does not wait for the disk, so a crash of the machine (not of the
// process) can lose data.
package localcluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// Config describes a cluster.
type Config struct {
	// Name of the cluster, and of the context, cluster and user in its kubeconfig.
	Name string
	// Dir holds everything the cluster keeps.
	Dir string
	// Provider, Region and Zones are where the nodes pretend to be. Nodes are spread over the zones in turn.
	Provider, Region string
	Zones            []string
	Nodes            int
	// APIOnly leaves out controllers, scheduler and nodes: what is written stays as it was written.
	APIOnly bool
	// IPRange is the part of 127.0.0.0/8 that the cluster has for itself. The API is served on its first address.
	IPRange netip.Prefix
	Port    int
	// NoLoadBalancers leaves Services of type LoadBalancer without an address, as clusters without a cloud do.
	NoLoadBalancers bool
	// Images maps image repositories, without tag, to the programs that run as their containers.
	Images map[string]string
}

// KubeconfigPath is where the cluster's kubeconfig is.
func (c Config) KubeconfigPath() string { return filepath.Join(c.Dir, "kubeconfig") }

func (c Config) server() string {
	return "https://" + net.JoinHostPort(c.address(), strconv.Itoa(c.Port))
}

func (c Config) address() string { return c.IPRange.Masked().Addr().Next().String() }

// Run runs the cluster until ctx ends or a part of it fails. When it returns, no process that the cluster started is
// left.
func Run(ctx context.Context, c Config) error {
	log := klog.FromContext(ctx).WithValues("cluster", c.Name)
	begin := time.Now()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of cluster %s: %w", c.Name, err)
	}
	unlock, err := occupy(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	files, err := ensureFiles(c)
	if err != nil {
		return fmt.Errorf("preparing the files of cluster %s: %w", c.Name, err)
	}

	etcd, err := startEtcd(c.Dir)
	if err != nil {
		return err
	}
	defer etcd.Close()
	log.Info("etcd started", "after", time.Since(begin))

	// The parts stop in the opposite order: nodes with their pods, then controllers, then the API, then etcd.
	apiCtx, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAPI()
	apiDone, err := startAPIServer(apiCtx, c, files, etcd.endpoint)
	if err != nil {
		return fmt.Errorf("starting kube-apiserver: %w", err)
	}
	log.Info("API server built", "after", time.Since(begin))

	config, err := clientConfig(c)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, config, apiDone); err != nil {
		return err
	}
	log.Info("API server ready", "address", config.Host, "after", time.Since(begin))

	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case err := <-apiDone:
			return fmt.Errorf("kube-apiserver ended: %w", err)
		case err := <-etcd.failed():
			return fmt.Errorf("etcd ended: %w", err)
		case <-groupCtx.Done():
			return nil
		}
	})
	if !c.APIOnly {
		group.Go(func() error { return runControllers(groupCtx, c, files) })
		group.Go(func() error { return runScheduler(groupCtx, config) })
		group.Go(func() error { return runNodes(groupCtx, c, config, files) })
	}
	log.Info("cluster started", "after", time.Since(begin))
	err = group.Wait()

	log.Info("stopping", "cause", context.Cause(groupCtx))
	stopAPI()
	select {
	case <-apiDone:
	case <-time.After(stopLimit):
		// Open watches hold it back. They end with the process, and no write is under way any more.
		log.Info("API server still has open requests")
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// stopLimit is how long the API server may take to finish open requests.
const stopLimit = time.Second

// clientConfig is the administrator's connection, without a rate limit on the client's side.
func clientConfig(c Config) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.KubeconfigPath())
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of cluster %s: %w", c.Name, err)
	}
	config.QPS = -1
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = config.ContentType + ",application/json"
	return config, nil
}

// waitReady waits for all start-up hooks of the API server.
func waitReady(ctx context.Context, config *rest.Config, apiDone <-chan error) error {
	probe := rest.CopyConfig(config)
	probe.Timeout = 5 * time.Second
	api, err := kubernetes.NewForConfig(probe)
	if err != nil {
		return err
	}
	deadline := time.After(2 * time.Minute)
	for {
		answer, err := api.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case err := <-apiDone:
			return fmt.Errorf("kube-apiserver ended while starting: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("waiting for kube-apiserver: %w", context.Cause(ctx))
		case <-deadline:
			return fmt.Errorf("kube-apiserver is not ready after two minutes: %w: %s", err, answer)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
