package v1alpha1

// SystemNamespace holds the federation's own objects, in the federation API, in the host cluster and in members.
// Nothing in it is ever federated.
const SystemNamespace = "federation-system"

// InfoConfigMap is the ConfigMap in SystemNamespace of the federation API that says which federation this is.
const (
	InfoConfigMap  = "federation-info"
	InfoName       = "name"         // the federation's name, a DNS label
	InfoDNSZone    = "dnsZone"      // the DNS zone, with a trailing dot
	InfoFederation = "federationID" // UID of the federation API's kube-system namespace: tells two of one name apart
)

// ControllersLease is the Lease in SystemNamespace of the federation API whose holder runs the federation's controllers.
const ControllersLease = "federation-controllers"

// Labels and annotations on members' objects.
const (
	// LabelFederation on an object in a member names the federation that manages it. It is what the control plane
	// selects its watches by: an object without it is not the federation's.
	LabelFederation = GroupName + "/federation"
	// AnnotationOriginUID on an object in a member is the UID of the federated object that it was made from.
	AnnotationOriginUID = GroupName + "/origin-uid"
)

// Annotations that a user sets on objects in the federation API.
const (
	// AnnotationPropagate set to "false" keeps an object in the federation API only.
	AnnotationPropagate = GroupName + "/propagate"
	// AnnotationOnConflict says what happens where a member already holds an object of this name that is not the
	// federation's: OnConflictAdopt or OnConflictOverwrite. Without it the object there is left alone.
	AnnotationOnConflict = GroupName + "/on-conflict"
	// OnConflictAdopt takes an object over only where that changes nothing that would restart pods.
	OnConflictAdopt = "adopt"
	// OnConflictOverwrite takes an object over and makes it what the federation holds.
	OnConflictOverwrite = "overwrite"
	// AnnotationRebalance asks once, whenever its value changes, to divide an object's replicas anew as its policy says.
	// "kubefed rebalance" sets it to the current time.
	AnnotationRebalance = GroupName + "/rebalance"
	// AnnotationEgress and AnnotationFetch say, for placement by price, how many GiB (2^30 octets) one replica of a workload sends
	// out of its region in an hour, and how many it fetches once from where it was when it moves to another cluster: decimals
	// such as "0.5".
	AnnotationEgress = GroupName + "/egress-gib-per-hour"
	AnnotationFetch  = GroupName + "/fetch-gib"
	// AnnotationReplicasPath on a CustomResourceDefinition without a scale subresource is the path of the replicas in its
	// objects, such as ".spec.workers", so that a policy can divide them.
	AnnotationReplicasPath = GroupName + "/replicas-path"
)

// Taints of Clusters that follow from what the federation believes of their health.
const (
	TaintDegraded    = GroupName + "/degraded"    // its API answers, capacity or traffic is impaired
	TaintUnreachable = GroupName + "/unreachable" // its API is silent, traffic or witnesses say that it is alive
	TaintDown        = GroupName + "/down"        // its API is silent and traffic is dead
)

// Taints of Clusters that people set, with "kubefed cordon" and "kubefed drain". They are in Cluster.spec.taints.
const (
	TaintCordoned = GroupName + "/cordoned" // NoSchedule: nothing new goes there
	TaintDrain    = GroupName + "/drain"    // NoExecute: everything moves away, replacements first; its endpoints leave DNS in time
)

// AnnotationDrill on a Cluster says which FailoverDrill treats it as failed, and how: "NAME/MODE". The drill's controller
// sets it and takes it away.
const AnnotationDrill = GroupName + "/drill"

// AnnotationReference on a Cluster is what its cloud calls it, such as "eks:us-east-1/prod-a", where it was joined by that.
const AnnotationReference = GroupName + "/cloud-reference"

// Annotations that say how the names of a Service, Ingress or Gateway answer. Each wins over the field of DNSSettings of the
// same name in the object's policy. Values of enumerations are read whatever their case.
const (
	AnnotationDNSPublish        = GroupName + "/dns-publish"         // "false": no names
	AnnotationDNSRouting        = GroupName + "/dns-routing"         // All, Weighted, Nearest, Ordered
	AnnotationDNSTTL            = GroupName + "/dns-ttl"             // "20", "20s", "5m"
	AnnotationDNSFallback       = GroupName + "/dns-fallback"        // Flatten, CNAME, None
	AnnotationDNSWhenDead       = GroupName + "/dns-when-dead"       // Static, Open, Closed, Sorry
	AnnotationDNSSorryAddresses = GroupName + "/dns-sorry-addresses" // addresses divided by commas
	AnnotationDNSProbe          = GroupName + "/dns-probe"           // "tcp", "tcp:PORT", "none", or http(s)://[HOST][:PORT]/PATH with host and port of the endpoint where left out
	AnnotationDNSProbeStatus    = GroupName + "/dns-probe-status"    // expected HTTP status: "200", "200-399" (default)
	// AnnotationDNSAdopt states records of someone else, exactly as they are, that may be taken over: lines of "NAME TTL TYPE DATA".
	AnnotationDNSAdopt = GroupName + "/dns-adopt"
)

// AnnotationDNSConfirmRemovals on the Federation is a time (RFC 3339): what has been held back in DNS since then, or longer, an
// operator confirms to be gone.
const AnnotationDNSConfirmRemovals = GroupName + "/dns-confirm-removals"

// FinalizerMembers keeps a federated object until every member has deleted its copy or a Tombstone stands for it.
// The API server's admission adds it; pkg/sync takes it off.
const FinalizerMembers = GroupName + "/members"

// FinalizerCluster keeps a Cluster until what the federation left in it is dealt with.
const FinalizerCluster = GroupName + "/cluster"

// FieldManager is the field manager of server-side apply in members.
const FieldManager = "kubefed"
