package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"

	"k8s.io/client-go/rest"
)

// Config describes the nodes of one local cluster.
type Config struct {
	// REST reaches the cluster's API server with all rights.
	REST *rest.Config
	// Cluster names the cluster; node names start with it.
	Cluster string
	// Provider is aws, gcp, onprem or another name; it shapes labels and provider IDs.
	Provider string
	Region   string
	// Zones are given to nodes in turn. None means that nodes have no zone label.
	Zones []string
	// Nodes is their number.
	Nodes int
	// PodsPerNode is each node's pod capacity; 0 means 110.
	PodsPerNode int
	// Dir keeps pods' volumes and logs, and persistent volumes.
	Dir string
	// IPRange is this cluster's part of 127.0.0.0/8. Of its first 256 addresses only those of the nodes are used.
	IPRange netip.Prefix
	// NoBalancers leaves Services of type LoadBalancer without an address.
	NoBalancers bool
	// Images maps image repositories, without tag or digest, to binaries.
	Images map[string]string
	// ServingCert is what nodes serve logs and streams with; it covers their Addresses. They answer clients whose
	// certificate ClientCAs signed and that are of the group system:masters.
	ServingCert tls.Certificate
	ClientCAs   *x509.CertPool
}

func (c *Config) complete() error {
	if c.PodsPerNode == 0 {
		c.PodsPerNode = 110
	}
	var errs []error
	if c.REST == nil {
		errs = append(errs, errors.New("field REST is not set"))
	}
	if c.Cluster == "" || c.Dir == "" {
		errs = append(errs, errors.New("neither Cluster nor Dir may be empty"))
	}
	if c.Nodes < 1 || c.Nodes > maxNodes {
		errs = append(errs, fmt.Errorf("field Nodes is %d, must be from 1 to %d", c.Nodes, maxNodes))
	}
	if !loopback.Overlaps(c.IPRange) || c.IPRange.Bits() < 8 || c.IPRange.Bits() > 20 {
		errs = append(errs, fmt.Errorf("field IPRange is %s, must be in 127.0.0.0/8 and have 8 to 20 bits, such as 127.20.0.0/16", c.IPRange))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("configuring nodes of cluster %s: %w", c.Cluster, err)
	}
	return nil
}
