// Package drill carries out FailoverDrills: it decides when one may begin, marks the clusters that are to fail, asks Services
// as their users would, watches the guardrails, takes everything back, and writes down what was measured.
//
//	Step(object, what is seen, now) -> status            pure: when to begin, go on, end
//	Wanted(status) - what clusters carry -> actions      pure: the same marks for the same status
//	Controller                                           stores the status first, then acts on what is stored
//
// So a process that ends between any two steps leaves an object from which the next one goes on or takes back. What follows
// from a mark is others' business: the verdict room turns mode Verdict into a verdict, the publisher withdraws endpoints
// of mode DNS, placement moves what a taint sends away. Modes Kill and Partition are an executor's, outside.
package drill
