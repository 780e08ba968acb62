package publish

import (
	"context"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/named"
)

// gone says whether an owned name that nobody claims is certain to go: its object is not there any more, by a complete list or by
// its deletion, or is to have no names; or the cluster, region, zone or provider that the name is for has left the federation.
func (p *Publisher) gone(ctx context.Context, name string, owner dns.Owner) bool {
	key, ok := named.KeyOfRef(owner.Ref)
	if !ok {
		return false
	}
	if e, _ := p.board.get(owner.Ref); e != nil {
		return e.UID != owner.UID || p.places.left(name, e.subject.Names)
	}
	gk := key.GroupKind()
	if !p.catalog.KindSynced(gk) {
		return p.inbox.deleted(key, owner.UID)
	}
	obj, err := p.catalog.Get(ctx, gk, key.Namespace, key.Name)
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	o, named := named.ObjectOf(gk, obj)
	// One that is to have names, and is not on the board, was not evaluated yet.
	return !named || o.UID != owner.UID || p.withheld(o)
}

// places are the clusters of the federation, and where they are. Safe for concurrent use.
type places struct {
	mu       sync.Mutex
	clusters map[string]bool
	// labels are what stands in names for a region ("eu-west-1"), a zone ("eu-west-1a.eu-west-1") or a provider ("aws.cloud").
	labels map[string]bool
	// vague: there is a cluster of which it is not known where it is.
	vague bool
}

func (p *places) set(clusters []Cluster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clusters, p.labels, p.vague = map[string]bool{}, map[string]bool{}, false
	for _, c := range clusters {
		p.clusters[c.Name] = true
		p.vague = p.vague || c.Provider == "" || c.Region == ""
		p.labels[strings.ToLower(c.Provider)+".cloud"] = true
		p.labels[strings.ToLower(c.Region)] = true
		for _, zone := range c.Zones {
			p.labels[strings.ToLower(zone+"."+c.Region)] = true
		}
	}
}

// left says whether a name of a Service is for a cluster that is not in the federation, or for a place where none is.
func (p *places) left(name string, names dns.Names) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cluster := clusterName(name); cluster != "" {
		return !p.clusters[cluster]
	}
	if names == (dns.Names{}) || p.vague {
		return false
	}
	where, ok := strings.CutPrefix(name, strings.TrimSuffix(names.Global(), names.Domain))
	where = strings.TrimSuffix(strings.TrimSuffix(where, names.Domain), ".")
	return ok && where != "" && !p.labels[where]
}
