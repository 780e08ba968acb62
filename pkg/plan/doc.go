// Package plan says what would happen, and why things are as they are, with the engine that decides in production.
//
//	World (clusters, policies, objects, decisions) -> change it -> Settle -> Compare
//
// It is pure: a World is a value, the caller reads it from a federation. Nothing is written.
package plan
