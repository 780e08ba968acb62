// Package mcs makes Services of one cluster usable in all: the Multi-Cluster Services API (KEP-1645). A ServiceExport in the
// federation API, beside a federated Service of its name, makes a ServiceImport there and in every member, with an
// address of its own, EndpointSlices of all clusters that have the Service, and records under clusterset.local.
//
//	ServiceExport, members' copies of the Service and their EndpointSlices
//	  --combine--> ServiceImport --slices--> Service, EndpointSlices, ServiceImport in each member
//	                             --claims--> clusterset.local
//
// Deciding is pure (combine, slices, claims, allocate). It never touches objects in members that it has not made, and
// removes the endpoints of a cluster on positive evidence only: what can't be read is kept as it is.
package mcs
