// Package endpoint knows where each member serves a federated Service, Ingress or Gateway, and whether it answers there. In: watches
// of the members' copies, probes of the addresses they are served at, what witnesses see from other clusters, the verdicts on and
// taints of clusters. Out: for each object and cluster, addresses, ports, weight and a state, and a call when that changes.
// It writes nothing to any API and decides no name: pkg/dns/publish does. All is in memory; what was published is the memory that
// outlives a restart (Collector.Remember).
//
//	members --tables--> served --+
//	addresses --prober--> answers+--Judge, one address--> tracks --combine, one cluster--> Observed
//	witnesses, verdicts, taints -+
package endpoint
