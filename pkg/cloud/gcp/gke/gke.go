// Package gke finds the clusters of Google Kubernetes Engine that an account can see. It asks the container API over HTTP, changes
// nothing there, and links no other client of Google Cloud.
package gke

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	container "cloud.google.com/go/container/apiv1"
	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/api/option"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp"
)

// role is the least predefined one that lists and reads clusters.
const role = "roles/container.clusterViewer"

// Scopes of the token: clusters know by the second one who it is.
var scopes = []string{"https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/userinfo.email"}

// Finder finds the clusters of one project. It is safe for concurrent use.
type Finder struct{ session *gcp.Session }

var _ cloud.Finder = (*Finder)(nil)

// New is a Finder for an account; it asks no API yet.
func New(ctx context.Context, account config.Account) (cloud.Finder, error) {
	session, err := gcp.New(ctx, account, scopes...)
	if err != nil {
		return nil, err
	}
	return &Finder{session: session}, nil
}

// Clusters implements cloud.Finder. Without regions, those of the account are listed.
func (f *Finder) Clusters(ctx context.Context, regions []string) ([]cloud.Cluster, error) {
	account := f.session.Account()
	if len(regions) == 0 {
		regions = account.Regions
	}
	meant := func(location string) bool { return len(regions) == 0 || slices.Contains(regions, gcp.Region(location)) }
	call := gcp.Call{Family: config.FamilyContainer, Permission: "container.clusters.list", Role: role, On: "project " + account.Project}
	var list *containerpb.ListClustersResponse
	err := f.ask(ctx, call, func(ctx context.Context, client *container.ClusterManagerClient) (err error) {
		list, err = client.ListClusters(ctx, &containerpb.ListClustersRequest{Parent: "projects/" + account.Project + "/locations/-"})
		return err
	})
	if err != nil {
		return nil, err
	}
	var found []cloud.Cluster
	for _, c := range list.GetClusters() {
		if meant(c.GetLocation()) {
			found = append(found, read(account.Project, c))
		}
	}
	slices.SortFunc(found, func(a, b cloud.Cluster) int { return strings.Compare(a.Reference.String(), b.Reference.String()) })
	missing := slices.DeleteFunc(slices.Clone(list.GetMissingZones()), func(location string) bool { return !meant(location) })
	if len(missing) > 0 {
		slices.Sort(missing)
		return found, &cloud.Error{Kind: cloud.Unavailable, Operation: call.Permission + " of " + call.On,
			Err: fmt.Errorf("%s did not answer; clusters there are missing in the list", strings.Join(missing, ", "))}
	}
	return found, nil
}

// segment is a part of a cluster's name in the API.
var segment = regexp.MustCompile(`^[a-z0-9][a-z0-9.:-]*$`)

// Cluster implements cloud.Finder.
func (f *Finder) Cluster(ctx context.Context, r cloud.Reference) (cloud.Cluster, error) {
	call := gcp.Call{Family: config.FamilyContainer, Permission: "container.clusters.get", Role: role, On: "cluster " + r.String(), Project: r.Project}
	if r.Service != cloud.GKE || !segment.MatchString(r.Project) || !segment.MatchString(r.Location) || r.Location == "-" || !segment.MatchString(r.Name) {
		return cloud.Cluster{}, &cloud.Error{Kind: cloud.Invalid, Operation: call.Permission + " of " + call.On,
			Err: errors.New("that is no cluster of GKE"), Advice: "write gke:PROJECT/LOCATION/NAME, as `kubefed discover gcp` lists them"}
	}
	var c *containerpb.Cluster
	err := f.ask(ctx, call, func(ctx context.Context, client *container.ClusterManagerClient) (err error) {
		c, err = client.GetCluster(ctx, &containerpb.GetClusterRequest{Name: "projects/" + r.Project + "/locations/" + r.Location + "/clusters/" + r.Name})
		return err
	})
	if err != nil {
		return cloud.Cluster{}, err
	}
	return read(r.Project, c), nil
}

// Token implements cloud.Finder: clusters of GKE accept the access token of who may use them.
func (f *Finder) Token(ctx context.Context, _ cloud.Cluster) (string, time.Time, error) {
	return f.session.Token(ctx)
}

func (f *Finder) ask(ctx context.Context, call gcp.Call, do func(context.Context, *container.ClusterManagerClient) error) error {
	return f.session.Do(ctx, call, func(ctx context.Context, options []option.ClientOption) error {
		client, err := container.NewClusterManagerRESTClient(ctx, options...)
		if err != nil {
			return err
		}
		// The session repeats requests, and has the deadline.
		*client.CallOptions = container.ClusterManagerCallOptions{}
		return do(ctx, client)
	})
}

var minor = regexp.MustCompile(`^\d+\.\d+`)

// read is a cluster as the API describes it.
func read(project string, c *containerpb.Cluster) cloud.Cluster {
	out := cloud.Cluster{Reference: cloud.Reference{Service: cloud.GKE, Project: project, Location: c.GetLocation(), Name: c.GetName()},
		Version: minor.FindString(c.GetCurrentMasterVersion()), Region: gcp.Region(c.GetLocation()), Zones: slices.Sorted(slices.Values(c.GetLocations())),
		State: c.GetStatus().String()}
	out.Endpoint, out.CA = reach(c)
	switch c.GetStatus() {
	case containerpb.Cluster_RUNNING, containerpb.Cluster_RECONCILING, containerpb.Cluster_DEGRADED:
		out.Usable = out.Endpoint != ""
	}
	return out
}

// reach is how the API server is reached: at its address, whose certificate is of the cluster's own authority, or at its name, whose
// certificate is of a public one.
func reach(c *containerpb.Cluster) (endpoint string, authority []byte) {
	named := c.GetControlPlaneEndpointsConfig().GetDnsEndpointConfig()
	byAddress := c.GetControlPlaneEndpointsConfig().GetIpEndpointsConfig()
	if byAddress != nil && byAddress.Enabled != nil && !byAddress.GetEnabled() || c.GetEndpoint() == "" {
		if named.GetAllowExternalTraffic() && named.GetEndpoint() != "" {
			return "https://" + named.GetEndpoint(), nil
		}
		return "", nil
	}
	authority, err := base64.StdEncoding.DecodeString(c.GetMasterAuth().GetClusterCaCertificate())
	if err != nil || len(authority) == 0 {
		return "", nil
	}
	host := c.GetEndpoint()
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + host + "]"
	}
	return "https://" + host, authority
}
