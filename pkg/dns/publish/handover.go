package publish

import (
	"fmt"
	"slices"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/dns"
)

// handovers are the drains that are under way, by object and cluster. They belong to the goroutine that evaluates.
type handovers map[Key]map[string]dns.Handover

// recall takes up what had left the answers before a restart: it stays out.
func (h handovers) recall(key Key, clusters []federation.ClusterEndpoint) {
	for _, c := range clusters {
		if c.State == string(dns.Draining) && !c.Published {
			h.put(key, c.Name, dns.Handover{Over: true})
		}
	}
}

func (h handovers) put(key Key, cluster string, now dns.Handover) {
	if h[key] == nil {
		h[key] = map[string]dns.Handover{}
	}
	h[key][cluster] = now
}

// keep lets the endpoints of an entry that drain answer until what takes their place is ready. It returns when to look again, 0 for
// never. Where it is not known how much is ready, they leave at once.
func (h handovers) keep(e *entry, now time.Time) (again time.Duration) {
	for cluster := range h[e.Key] {
		if !slices.ContainsFunc(e.observed, func(o Observed) bool { return o.Cluster == cluster && o.State == dns.Draining }) {
			delete(h[e.Key], cluster)
		}
	}
	coming, known := prospects(e.observed)
	for i := range e.observed {
		o := &e.observed[i]
		if o.State != dns.Draining {
			continue
		}
		before := h[e.Key][o.Cluster]
		e.subject.Endpoints[i].Kept = !before.Over && len(o.Addresses) > 0
	}
	for i := range e.observed {
		o := &e.observed[i]
		if o.State != dns.Draining || len(o.Addresses) == 0 {
			continue
		}
		before := h[e.Key][o.Cluster]
		next, wait := before.Next(e.subject, o.Cluster, coming, now)
		next.Over = next.Over || !known
		h.put(e.Key, o.Cluster, next)
		if e.subject.Endpoints[i].Kept = !next.Over; next.Over {
			continue
		}
		o.Reason = federation.EndpointHandingOver
		o.Message = fmt.Sprintf("the cluster is being drained, and answers until as much is ready elsewhere: %d of %d", next.Best, next.Had)
		if again == 0 || wait < again {
			again = wait
		}
	}
	if len(h[e.Key]) == 0 {
		delete(h, e.Key)
	}
	return again
}

// prospects says whether pods have begun in clusters that do not drain, and whether it is known everywhere how many are ready.
func prospects(observed []Observed) (coming, known bool) {
	known = true
	for i := range observed {
		o := &observed[i]
		coming = coming || o.State != dns.Draining && o.Starting > 0
		known = known && (o.Ready != nil || len(o.Addresses) == 0)
	}
	return coming, known
}
