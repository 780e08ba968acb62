// Package publish makes the names of federated Services, Ingresses and Gateways true in the federation's zones: from what a Source
// says of endpoints, from Clusters and from policies it makes subjects (by the rules of pkg/dns/named), has pkg/dns plan
// what to change, and applies that zone by zone. It writes GlobalEndpoints and Federation.status.zones. It asks no endpoint whether
// it answers, connects to no member, and knows no provider's protocol.
//
//	catalog, Clusters, policies, Source --evaluate--> board (a subject for each object)
//	                                                    |  wakes
//	              one worker for each zone: Records -> MakePlan -> Batches -> Apply -> Await
//	                                                    |  results
//	                                       writer: GlobalEndpoints, Federation.status.zones, Events
package publish
