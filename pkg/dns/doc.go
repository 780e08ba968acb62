// Package dns decides which names answer with what: from the endpoints of federated Services and their states it makes
// record sets (Records), and a change set that brings a zone there without touching what the federation does not own
// (MakePlan). It holds the Provider interface through which zones are read and written. It is pure but for the in-memory
// provider: it does not probe, watch, or know any SDK; a cloud's or a server's protocol is the business of a provider.
//
//	subjects --Brake--> subjects --Records--> claims --MakePlan--> changes --Provider.Apply--> zone
//	(endpoints, states)                       (names, sets)        (before, after)
package dns
