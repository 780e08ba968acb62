package awstest

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
)

// Cluster of EKS.
type Cluster struct {
	Name, Version string
	// Endpoint and CA (PEM) of its API server; empty while it is being created.
	Endpoint string
	CA       []byte
	// Status is ACTIVE by default.
	Status string
}

// SetCluster adds or replaces a cluster of a region.
func (c *Cloud) SetCluster(regionName string, cluster Cluster) {
	if cluster.Status == "" {
		cluster.Status = "ACTIVE"
	}
	c.set(func() { c.in(regionName).clusters[cluster.Name] = cluster })
}

// RemoveCluster takes a cluster away.
func (c *Cloud) RemoveCluster(regionName, name string) {
	c.set(func() { delete(c.in(regionName).clusters, name) })
}

func (c *Cloud) listClusters(q *request) (any, *refusal) {
	if r := q.strange("maxResults", "nextToken", "include"); r != nil {
		return nil, r
	}
	asked, err := strconv.Atoi(q.form.Get("maxResults"))
	if q.form.Has("maxResults") && (err != nil || asked < 1 || asked > 100) {
		return nil, &refusal{400, "InvalidParameterException", "maxResults must be from 1 to 100"}
	}
	names, next, refused := paged(c, q, slices.Sorted(maps.Keys(c.in(q.region).clusters)), q.form.Get("nextToken"), asked)
	if refused != nil {
		return nil, refused
	}
	out := map[string]any{"clusters": append([]string{}, names...)}
	if next != "" {
		out["nextToken"] = next
	}
	return out, nil
}

func (c *Cloud) describeCluster(q *request) (any, *refusal) {
	if r := q.strange(); r != nil {
		return nil, r
	}
	cluster, ok := c.in(q.region).clusters[q.name]
	if !ok {
		return nil, &refusal{404, "ResourceNotFoundException", "No cluster found for name: " + q.name + "."}
	}
	out := map[string]any{
		"name": cluster.Name, "arn": "arn:aws:eks:" + q.region + ":" + Account + ":cluster/" + cluster.Name, "version": cluster.Version,
		"status": cluster.Status, "platformVersion": "eks.1", "createdAt": 1.7672256e9, "tags": map[string]string{},
		"resourcesVpcConfig": map[string]any{"subnetIds": []string{"subnet-1", "subnet-2"}, "vpcId": "vpc-1", "endpointPublicAccess": true},
	}
	if cluster.Endpoint != "" {
		out["endpoint"] = cluster.Endpoint
		out["certificateAuthority"] = map[string]string{"data": base64.StdEncoding.EncodeToString(cluster.CA)}
	}
	return map[string]any{"cluster": out}, nil
}
