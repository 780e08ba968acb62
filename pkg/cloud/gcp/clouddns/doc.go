// Package clouddns publishes to managed zones of Google Cloud DNS. Each change that it sends replaces the zone's lease record and
// deletes what was read in exactly the form in which it was read, so Cloud DNS itself compares before it swaps: a change is made as
// a whole, or refused. Which name is to blame for a refusal is found here.
//
// It understands no routed sets: Cloud DNS keeps all of a name in one record set whose items have no names of their own, so a
// cluster's part could not be found again. Where a policy would route, one plain set holds all.
package clouddns
