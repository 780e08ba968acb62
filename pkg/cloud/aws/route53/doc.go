// Package route53 publishes to hosted zones of AWS Route 53. Each batch that it sends replaces the zone's lease record and
// deletes what was read in exactly the form in which it was read, so Route 53 itself compares before it swaps: a batch is made as a
// whole, or refused. Which change of a refused batch is to blame is found here, so that one bad name does not stop the others.
//
// Sets of policy Weighted become weighted sets, those of All multivalue answers, those of Nearest latency sets, one for each region of
// AWS that is nearest to some cluster. A set of a single load balancer of AWS is an alias of it.
package route53
