// Package coredns is the dns.Provider for CoreDNS' etcd plugin: it writes what CoreDNS reads, straight into etcd v3. Each datum of a set is
// a key below the name's path, which has the labels in reverse:
//
//	/skydns/com/example/global/svc/earth/shop/web/x1   {"host":"192.0.2.1","ttl":20,"group":"web.shop...","rrtype":"A","data":"192.0.2.1"}
//
// CoreDNS answers with the keys of a whole subtree; the group keeps those of names below out of a name's answers. The fields rrtype and data
// are for this package, which reads back exactly what it wrote. A change is one transaction that compares the revisions of the keys it
// replaces, that no key was added at its names since they were read, and the lease. It serves nothing itself.
package coredns
