package localcluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"k8s.io/client-go/rest"

	"kubefed.dev/kubefed/internal/node"
)

// runNodes runs the nodes and their pods until ctx ends.
func runNodes(ctx context.Context, c Config, config *rest.Config, f files) error {
	serving, err := tls.LoadX509KeyPair(f.kubeletCert, f.kubeletKey)
	if err != nil {
		return fmt.Errorf("reading the nodes' certificate: %w", err)
	}
	ca, err := os.ReadFile(f.caCert)
	if err != nil {
		return fmt.Errorf("reading the cluster's authority: %w", err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(ca) {
		return errors.New("the cluster's authority in " + f.caCert + " is no certificate: remove the cluster's folder to start anew")
	}
	return node.Run(ctx, node.Config{
		REST:        config,
		Cluster:     c.Name,
		Provider:    c.Provider,
		Region:      c.Region,
		Zones:       c.Zones,
		Nodes:       c.Nodes,
		PodsPerNode: podsPerNode,
		Dir:         c.Dir,
		IPRange:     c.IPRange,
		Images:      c.Images,
		NoBalancers: c.NoLoadBalancers,
		ServingCert: serving,
		ClientCAs:   clients,
	})
}

// podsPerNode is more than a kubelet's default of 110, so that three nodes hold what a benchmark creates.
const podsPerNode = 1000
