// Package eks finds clusters of Amazon EKS, and makes the tokens by which their API servers know who asks. It reads
// eks:ListClusters and eks:DescribeCluster, and writes nothing.
package eks

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws"
	"kubefed.dev/kubefed/pkg/cloud/aws/places"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// atOnce is how many regions are asked at a time.
const atOnce = 8

// Finder is an account's clusters. It is safe for concurrent use.
type Finder struct {
	session *aws.Session
	now     func() time.Time

	mu      sync.Mutex
	clients map[string]*eks.Client
}

var (
	_ cloud.Finder     = (*Finder)(nil)
	_ cloud.Identifier = (*Finder)(nil)
)

// New is a Finder for an account. It asks nothing yet.
func New(ctx context.Context, account config.Account) (cloud.Finder, error) {
	session, err := aws.Open(ctx, account)
	if err != nil {
		return nil, err
	}
	return finder(session), nil
}

func finder(session *aws.Session) *Finder {
	return &Finder{session: session, now: time.Now, clients: map[string]*eks.Client{}}
}

func (f *Finder) client(region string) *eks.Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.clients[region] == nil {
		f.clients[region] = eks.NewFromConfig(f.session.Config(config.FamilyEKS, region))
	}
	return f.clients[region]
}

// Clusters implements cloud.Finder. Without any regions those of the account are asked, and all of AWS if it names none; regions
// that nobody named, and that the account did not opt in to, are left out.
func (f *Finder) Clusters(ctx context.Context, regions []string) ([]cloud.Cluster, error) {
	named := true
	if len(regions) == 0 {
		regions = f.session.Account().Regions
	}
	if len(regions) == 0 {
		regions, named = places.Regions(), false
	}
	// Credentials that can't be had are one error, not one for each region.
	if err := f.session.Ready(ctx); err != nil {
		return nil, err
	}
	var (
		mu       sync.Mutex
		clusters []cloud.Cluster
		failures aws.Failures
		running  sync.WaitGroup
		free     = make(chan struct{}, atOnce)
	)
	for _, region := range regions {
		running.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			found, errs := f.region(ctx, region)
			mu.Lock()
			defer mu.Unlock()
			clusters = append(clusters, found...)
			for _, err := range errs {
				if !named && places.OptIn(region) && aws.IsIdentity(err) {
					continue
				}
				failures.Add(region, err)
			}
		})
	}
	running.Wait()
	slices.SortFunc(clusters, func(a, b cloud.Cluster) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Reference.Name, b.Reference.Name))
	})
	return clusters, failures.Err()
}

// region lists the clusters of one. What can be listed but not read is returned with its name alone.
func (f *Finder) region(ctx context.Context, region string) (clusters []cloud.Cluster, errs []error) {
	var names []string
	list := aws.Call{Family: config.FamilyEKS, Operation: "ListClusters", Region: region}
	err := aws.Pages(ctx, f.session, list, func(ctx context.Context, from *string) (*string, error) {
		page, err := f.client(region).ListClusters(ctx, &eks.ListClustersInput{NextToken: from})
		if err != nil {
			return nil, err
		}
		names = append(names, page.Clusters...)
		return page.NextToken, nil
	})
	if err != nil {
		errs = append(errs, err)
	}
	for _, name := range names {
		r := cloud.Reference{Service: cloud.EKS, Location: region, Name: name}
		c, err := f.Cluster(ctx, r)
		switch {
		case err == nil:
			clusters = append(clusters, c)
		case cloud.KindOf(err) != cloud.NotFound: // One that is gone meanwhile is not missed.
			clusters = append(clusters, cloud.Cluster{Reference: r, Region: region})
			errs = append(errs, err)
		}
	}
	return clusters, errs
}

// Cluster implements cloud.Finder. Zones are left empty: EKS does not tell them.
func (f *Finder) Cluster(ctx context.Context, r cloud.Reference) (cloud.Cluster, error) {
	call := aws.Call{Family: config.FamilyEKS, Operation: "DescribeCluster", Subject: r.Name, Region: r.Location}
	return aws.Ask(ctx, f.session, call, func(ctx context.Context) (cloud.Cluster, error) {
		answer, err := f.client(r.Location).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &r.Name})
		if err != nil {
			return cloud.Cluster{}, err
		}
		if answer.Cluster == nil {
			return cloud.Cluster{}, errEmpty
		}
		return describe(r, *answer.Cluster)
	})
}

func describe(r cloud.Reference, c types.Cluster) (cloud.Cluster, error) {
	out := cloud.Cluster{Reference: r, Region: r.Location, Version: value(c.Version), Endpoint: value(c.Endpoint), State: string(c.Status)}
	if c.CertificateAuthority != nil {
		ca, err := base64.StdEncoding.DecodeString(value(c.CertificateAuthority.Data))
		if err != nil {
			return cloud.Cluster{}, errCA
		}
		out.CA = ca
	}
	running := c.Status == types.ClusterStatusActive || c.Status == types.ClusterStatusUpdating
	out.Usable = running && out.Endpoint != "" && len(out.CA) > 0
	return out, nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
