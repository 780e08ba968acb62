// Package override changes an object for one cluster, as OverridePolicies and ClusterOverridePolicies say.
//
//	policies -> NewSet -> Select(object) -> Apply(selected, object, cluster) -> the object as that cluster is to have it
//
// It is pure: values in, values out, and the object that comes in is never changed. Which clusters get the object is not
// its business, nor is sending it there (pkg/sync).
package override
