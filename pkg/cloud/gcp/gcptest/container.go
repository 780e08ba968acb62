package gcptest

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
)

// Cluster is a cluster of GKE.
type Cluster struct {
	Name string
	// Location is a region or a zone; Zones are where its nodes are.
	Location string
	Zones    []string
	// Version is a full one, such as "1.36.3-gke.1100".
	Version string
	// Status is by its name in the API; RUNNING by default.
	Status string
	// Endpoint is an address, with a port where it is not 443; CA its authority (PEM).
	Endpoint string
	CA       []byte
	// DNSEndpoint is a name at which it is reached from outside; NoAddress turns the address off.
	DNSEndpoint string
	NoAddress   bool
}

// statuses are the numbers of a cluster's status: clients of this API ask for enums as numbers.
var statuses = map[string]int{"STATUS_UNSPECIFIED": 0, "PROVISIONING": 1, "RUNNING": 2, "RECONCILING": 3, "STOPPING": 4, "ERROR": 5, "DEGRADED": 6}

// SetCluster makes a cluster or changes it.
func (s *Server) SetCluster(c Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters[c.Location+"/"+c.Name] = c
}

// RemoveCluster ends a cluster.
func (s *Server) RemoveCluster(location, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clusters, location+"/"+name)
}

// SetMissing sets the zones that do not answer: their clusters are missing in lists.
func (s *Server) SetMissing(zones ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing = zones
}

var containerRoutes = []route{
	on(http.MethodGet, "/v1/projects/{project}/locations/{location}/clusters", "container.clusters.list", (*Server).listClusters),
	on(http.MethodGet, "/v1/projects/{project}/locations/{location}/clusters/{cluster}", "container.clusters.get", (*Server).getCluster),
}

func (s *Server) listClusters(r *http.Request, parts []string) reply {
	clusters := []any{}
	for _, id := range slices.Sorted(maps.Keys(s.clusters)) {
		c := s.clusters[id]
		if (parts[1] == "-" || parts[1] == c.Location) && !slices.Contains(s.missing, c.Location) {
			clusters = append(clusters, c.wire(r))
		}
	}
	return reply{body: map[string]any{"clusters": clusters, "missingZones": s.missing}}
}

func (s *Server) getCluster(r *http.Request, parts []string) reply {
	c, ok := s.clusters[parts[1]+"/"+parts[2]]
	if !ok {
		return notFound("Not found: projects/%s/locations/%s/clusters/%s.", parts[0], parts[1], parts[2])
	}
	return reply{body: c.wire(r)}
}

func (c Cluster) wire(r *http.Request) map[string]any {
	if c.Status == "" {
		c.Status = "RUNNING"
	}
	var status any = c.Status
	if r.URL.Query().Get("$alt") == "json;enum-encoding=int" {
		status = statuses[c.Status]
	}
	out := map[string]any{"name": c.Name, "location": c.Location, "locations": c.Zones, "currentMasterVersion": c.Version, "status": status}
	if c.Endpoint != "" && !c.NoAddress {
		out["endpoint"] = c.Endpoint
	}
	if c.CA != nil {
		out["masterAuth"] = map[string]any{"clusterCaCertificate": base64.StdEncoding.EncodeToString(c.CA)}
	}
	endpoints := map[string]any{"ipEndpointsConfig": map[string]any{"enabled": !c.NoAddress}}
	if c.DNSEndpoint != "" {
		endpoints["dnsEndpointConfig"] = map[string]any{"endpoint": c.DNSEndpoint, "allowExternalTraffic": true}
	}
	out["controlPlaneEndpointsConfig"] = endpoints
	return out
}
