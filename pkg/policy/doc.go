// Package policy says which policies concern an object, and which clusters a policy means.
//
//	policies, object -> Choose -> the PropagationPolicy in force
//	selector, cluster -> MatchCluster
//
// It is pure: values in, values out. What a policy does to an object is decided elsewhere (pkg/placement divides,
// pkg/override changes).
package policy
