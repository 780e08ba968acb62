// Package clouddns publishes to managed zones of Google Cloud DNS. Each change that it sends replaces the zone's lease record and
// deletes what was read in exactly the form in which it was read, so Cloud DNS itself compares before it swaps: a change is made as
// a whole, or refused. Which name is to blame for a refusal is found here.
//
// Weighted sets are the items of one record set. Items have no names in Cloud DNS, so a TXT record beside the name has them. Where
// another policy would route, one plain set holds all.
package clouddns
