// Package apiserver puts native Kubernetes kinds and the federation's own kinds behind one Kubernetes API server, built
// as a library from k8s.io/kubernetes' generic control plane. It stores in an etcd that it embeds in its data directory,
// or in an external one. It also holds the few of Kubernetes' own controllers without which an API server is not whole:
// namespace deletion, garbage collection, quota, service accounts, role aggregation, certificate signing.
//
//	request -> aggregator -> native groups -> custom resources -> 404
//	              (APIServices)   (groups.go)      (CRDs)
//
// In: Options. Out: a running server, its own client configuration, and signals when it is ready and when it has ended.
// It runs no workload controller: no Deployment makes a ReplicaSet here, no Service gets an address, no pod runs. Where
// objects go is other rooms' business; this one only keeps them from vanishing before the members let go of them (see
// members.go).
//
// This is the one package of the project's production code that links k8s.io/kubernetes, so that an upgrade breaks here
// or nowhere.
package apiserver
