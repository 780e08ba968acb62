// Package server is the embedded authoritative DNS server: it answers from memory for the zones that it was given, hands
// them to secondaries, and is a dns.Provider, so that the planner writes to it as to any other. It does not recurse, and it
// does not know why a record is there.
//
//	dns.Change --Apply--> content --compile--> zone (immutable) --atomic swap--> respond(packet) -> packet
//	                        |                                                      ^ UDP, TCP, TLS
//	                        +--> log file (last known good, loaded at start)       +-- AXFR, IXFR, NOTIFY
//
// The answer path works on packets: record sets are kept as they go over the wire, and an answer is copied together
// without allocation. miekg/dns is used where speed does not matter: transfers, TSIG, signing.
package server
