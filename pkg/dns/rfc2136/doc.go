// Package rfc2136 is the dns.Provider for servers that take dynamic updates (RFC 2136): BIND 9, Knot, PowerDNS and others. It reads a
// zone by transfer and writes it by updates whose prerequisites are the pre-image of each change, all over TCP and signed (TSIG, RFC 8945).
// It keeps no state but a copy of what it read, which it uses as long as the zone's serial is the same.
//
//	Records --AXFR--> contents          Apply --SOA--> contents --rules of dns.Content--> UPDATE: prerequisites, deletions, additions
//
// A server tells the loser of a race by a prerequisite that fails; then the zone is read again. What prerequisites cannot say, the TTL
// of a set, is compared with the copy only; where that matters the hash in the ownership record tells.
package rfc2136
