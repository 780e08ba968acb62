// Package observe asks clouds how the regions are in which members are, and keeps what they say. In: accounts and sites, the Clusters, the
// names of published load balancers. Out: Cluster.status.cloud, the condition CloudKnown, the cloud's word as evidence for
// verdicts, and how load balancers fare. A cloud that does not answer delays nobody and empties nothing: what it said grows old, which
// the condition tells. It links no SDK, writes nothing in any cloud, and moves nothing.
//
//	Clusters --choose--> places (account, region) --one goroutine for each family--> facts --+--Status--> Cluster.status
//	                                                                                         +--word----> verdicts
package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
)

// Source is an account of a cloud, or a site that is known from a file.
type Source struct {
	// Name is unique, Provider is as in Cluster.status.provider.
	Name, Provider string
	// Regions that are asked; none means all.
	Regions []string
	// Clusters that are here, by name; none means those of the provider that no other source names.
	Clusters []string
	// Site says that zones which it does not name are available.
	Site bool
	// Open prepares to ask. It is called again until it succeeds.
	Open func(context.Context) (Clients, error)
}

// Clients ask a source, safe for concurrent use; nil ones have nothing to tell.
type Clients struct {
	Regions   cloud.Regions
	Prices    cloud.Prices
	Balancers cloud.Balancers
}

// choose finds the source that knows of a cluster: the one that names it, else the account of its provider and region, else the
// site. nil is none. Where several accounts may be meant none is asked: zones and prices differ from account to account.
func choose(cluster *federation.Cluster, sources []*Source) (*Source, error) {
	provider, region := cluster.Status.Provider, cluster.Status.Region
	for _, s := range sources {
		switch {
		case !slices.Contains(s.Clusters, cluster.Name):
		case !s.Site && region == "":
			return nil, nil // not known yet
		case !s.asks(region):
			return s, &cloud.Error{Kind: cloud.Invalid, Operation: "region " + region,
				Advice: fmt.Sprintf("add it to the regions of account %s in the file of --cloud-config", s.Name)}
		default:
			return s, nil
		}
	}
	for _, site := range []bool{false, true} {
		if !site && (provider == "" || region == "") {
			continue
		}
		var fit, named []*Source
		for _, s := range sources {
			if s.Site != site || !s.fits(provider, region) || len(s.Clusters) > 0 || !s.asks(region) {
				continue
			}
			fit = append(fit, s)
			if len(s.Regions) > 0 {
				named = append(named, s)
			}
		}
		if len(named) > 0 {
			fit = named
		}
		if len(fit) == 1 {
			return fit[0], nil
		}
		if len(fit) > 1 {
			return fit[0], &cloud.Error{Kind: cloud.Invalid, Operation: "choosing among " + names(fit),
				Advice: "all may be meant: write the cluster's name into the list of clusters of one of them in the file of --cloud-config"}
		}
	}
	return nil, nil
}

// onPremises is the provider of most sites. Nodes there have no ID that would say so: a cluster of an unknown provider is there if a site
// names its region.
const onPremises = "on-premises"

func (s *Source) fits(provider, region string) bool {
	if provider == "" {
		return s.Site && s.Provider == onPremises && region != "" && len(s.Regions) > 0
	}
	return s.Provider == provider
}

func (s *Source) asks(region string) bool {
	return len(s.Regions) == 0 || slices.Contains(s.Regions, region)
}

func names(sources []*Source) string {
	var list []string
	for _, s := range sources {
		list = append(list, s.Name)
	}
	return strings.Join(list, ", ")
}
