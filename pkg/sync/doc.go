// Package sync makes federated objects true in members and brings their status back.
//
// In: federated objects (kind.Catalog), PlacementDecisions, Tombstones, and the members' own copies. Out: server-side
// apply and delete in members, PlacementDecision.status, the status of native objects, Tombstones. Why an object was
// placed where it is, is not its business.
//
//	federated object ─┐                     ┌─ member "gondor": queue ── Desired ── apply / delete ── watch of copies
//	PlacementDecision ┼── per-member keys ──┼─ member "rohan":  ...                                        │
//	Tombstone ────────┘                     └─ member "shire":  ...                                        │
//	        ▲                                                                                              │
//	        └──────── decision.status, object.status, finalizer  ◄── folder: one key per object  ◄─────────┘
//
// The unit of work is (kind, object, cluster): each member has its own queue and workers, so that a slow or dead one
// holds up nobody else. All memory is cache; a restart rebuilds it from the API servers and writes nothing where nothing
// changed.
package sync
