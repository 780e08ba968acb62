package publish

import (
	"time"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/dns/named"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Key names a federated object, Object is what it says of its names.
type (
	Key    = named.Key
	Object = named.Object
)

// Observed is what one cluster serves of an object, and how that fares. Cluster, Addresses, Ports, Weight, State and Doubtful are
// the Source's; where the cluster is and its order are filled in here.
type Observed struct {
	dns.Endpoint
	// Hostnames by which a load balancer is known; their addresses are among Addresses.
	Hostnames []string
	// Ready counts ready pods, nil where that is unknown.
	Ready *int32
	// Starting counts those that are there too, and not ready.
	Starting int32
	// Reason is one word, Message a sentence.
	Reason, Message string
	// Since is when the state became so.
	Since time.Time
}

// Source says where clusters serve objects. It is safe for concurrent use and does not block.
type Source interface {
	// OnChange has f called with the key of an object whose Endpoints changed. f does not block. It is called before the start.
	OnChange(f func(Key))
	// Endpoints has one entry at most for each cluster. A cluster that was Read and has no entry does not have the object.
	Endpoints(Key) []Observed
	// Read says whether a cluster's objects of the key's kind were read as a whole since this process began.
	Read(key Key, cluster string) bool
	// Ask says which probe is in force for an object; nil is the default.
	Ask(Key, *federation.EndpointProbe)
	// Remember gives back what was known before a restart. It is used for a cluster until that was Read, and while it can't be.
	Remember(Key, []Observed)
}
