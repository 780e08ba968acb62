// Package placement decides where every federated object is to be, and with how many replicas in each cluster.
//
//	object, Clusters, current decision -> Place -> PlacementDecision.spec
//
// Place is pure; the same function serves the controller and whoever asks what would happen. The controller feeds it
// from caches and stores its answer where that differs from the stored one: one write for a new object, none for a
// change that moves nothing, none after a restart. It does not know members' clients, DNS or clouds, it does not carry
// decisions out (pkg/sync does), and it never deletes one (pkg/sync does, with the last copy).
package placement
