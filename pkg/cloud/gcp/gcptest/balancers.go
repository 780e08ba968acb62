package gcptest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Rule is a forwarding rule: an address, and the backend service or target pool behind it.
type Rule struct {
	Name string
	// Region is empty for a global rule.
	Region  string
	Address string
	Port    int
	// Backend is a backend's name; Proxy that of an HTTP(S) proxy instead.
	Backend, Proxy string
}

// Proxy is an HTTP(S) proxy with its URL map, which has the same name.
type Proxy struct {
	Name, Region string
	HTTPS        bool
	// Default is the backend of what no rule names, Paths that of a path.
	Default string
	Paths   map[string]string
}

// Backend is a backend service, or a target pool as older load balancers have it.
type Backend struct {
	Name, Region string
	Pool         bool
	// Healthy says of each instance by name how it fares, by instance group; a pool has one group, whose name means nothing.
	Healthy map[string]map[string]bool
}

// SetRule makes a forwarding rule or changes it.
func (s *Server) SetRule(r Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules[r.Region+"/"+r.Name] = r
}

// SetProxy makes a proxy or changes it.
func (s *Server) SetProxy(p Proxy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Paths = maps.Clone(p.Paths)
	s.proxies[p.Region+"/"+p.Name] = p
}

// RemoveRule ends a forwarding rule.
func (s *Server) RemoveRule(region, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rules, region+"/"+name)
}

// SetBackend makes a backend or changes it.
func (s *Server) SetBackend(b Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := map[string]map[string]bool{}
	for group, instances := range b.Healthy {
		groups[group] = maps.Clone(instances)
	}
	b.Healthy = groups
	s.backends[b.Region+"/"+b.Name] = b
}

// SetHealth says how all instances of a backend fare.
func (s *Server) SetHealth(region, name string, healthy bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.backends[region+"/"+name]
	if !ok {
		return fmt.Errorf("there is no backend %s in region %q; make it with SetBackend", name, region)
	}
	for _, instances := range b.Healthy {
		for i := range instances {
			instances[i] = healthy
		}
	}
	return nil
}

const (
	inRegion = "/compute/v1/projects/{project}/regions/{region}"
	inGlobal = "/compute/v1/projects/{project}/global"
)

var balancerRoutes = []route{
	on(http.MethodGet, inRegion+"/forwardingRules", "compute.forwardingRules.list", (*Server).listRules),
	on(http.MethodGet, inGlobal+"/forwardingRules", "compute.globalForwardingRules.list", (*Server).listRules),
	on(http.MethodGet, "/compute/v1/projects/{project}/aggregated/forwardingRules", "compute.forwardingRules.list", (*Server).listAllRules),
	on(http.MethodGet, inRegion+"/backendServices/{backend}", "compute.regionBackendServices.get", (*Server).getBackend),
	on(http.MethodGet, inGlobal+"/backendServices/{backend}", "compute.backendServices.get", (*Server).getBackend),
	on(http.MethodPost, inRegion+"/backendServices/{backend}/getHealth", "compute.regionBackendServices.get", (*Server).groupHealth),
	on(http.MethodPost, inGlobal+"/backendServices/{backend}/getHealth", "compute.backendServices.get", (*Server).groupHealth),
	on(http.MethodGet, inRegion+"/targetHttpProxies/{proxy}", "compute.regionTargetHttpProxies.get", getProxy(false)),
	on(http.MethodGet, inGlobal+"/targetHttpProxies/{proxy}", "compute.targetHttpProxies.get", getProxy(false)),
	on(http.MethodGet, inRegion+"/targetHttpsProxies/{proxy}", "compute.regionTargetHttpsProxies.get", getProxy(true)),
	on(http.MethodGet, inGlobal+"/targetHttpsProxies/{proxy}", "compute.targetHttpsProxies.get", getProxy(true)),
	on(http.MethodGet, inRegion+"/urlMaps/{map}", "compute.regionUrlMaps.get", (*Server).getURLMap),
	on(http.MethodGet, inGlobal+"/urlMaps/{map}", "compute.urlMaps.get", (*Server).getURLMap),
	on(http.MethodGet, inRegion+"/targetPools/{pool}", "compute.targetPools.get", (*Server).getPool),
	on(http.MethodPost, inRegion+"/targetPools/{pool}/getHealth", "compute.targetPools.get", (*Server).instanceHealth),
}

// scope is the region of a request's path parts, empty for global, and the last part.
func scope(parts []string) (region, name string) {
	if len(parts) == 3 {
		region = parts[1]
	}
	return region, parts[len(parts)-1]
}

func (s *Server) listRules(r *http.Request, parts []string) reply {
	region := ""
	if len(parts) == 2 {
		if region = parts[1]; s.regions[region] == nil {
			return s.absent("regions/" + region)
		}
	}
	var items []any
	for _, id := range slices.Sorted(maps.Keys(s.rules)) {
		if rule := s.rules[id]; rule.Region == region {
			items = append(items, s.ruleOut(rule))
		}
	}
	return s.list(r, "compute#forwardingRuleList", items)
}

// listAllRules is the aggregated list: rules by scope. A region that is DOWN is unreachable, which refuses the whole unless the
// client says that a part is enough. Scopes without rules say so in a warning.
func (s *Server) listAllRules(r *http.Request, _ []string) reply {
	items, unreachable := map[string]any{}, []string{}
	for _, region := range append([]string{""}, slices.Sorted(maps.Keys(s.regions))...) {
		name := "global"
		if region != "" {
			name = "regions/" + region
			if s.regions[region].status == "DOWN" {
				unreachable = append(unreachable, name)
				items[name] = warning("UNREACHABLE", "The scope '"+name+"' is not reachable.")
				continue
			}
		}
		var rules []any
		for _, id := range slices.Sorted(maps.Keys(s.rules)) {
			if s.rules[id].Region == region {
				rules = append(rules, s.ruleOut(s.rules[id]))
			}
		}
		items[name] = map[string]any{"forwardingRules": rules}
		if len(rules) == 0 {
			items[name] = warning("NO_RESULTS_ON_PAGE", "There are no results for scope '"+name+"' on this page.")
		}
	}
	if len(unreachable) > 0 && r.URL.Query().Get("returnPartialSuccess") != "true" {
		return reply{refusal: Unavailable}
	}
	return reply{body: map[string]any{"kind": "compute#forwardingRuleAggregatedList", "items": items, "unreachables": unreachable}}
}

func warning(code, message string) map[string]any {
	return map[string]any{"warning": map[string]any{"code": code, "message": message}}
}

func (s *Server) ruleOut(r Rule) map[string]any {
	at := under(r.Region)
	out := map[string]any{"kind": "compute#forwardingRule", "id": "4420000000000000000", "name": r.Name, "IPAddress": r.Address, "IPProtocol": "TCP",
		"portRange": fmt.Sprintf("%d-%d", r.Port, r.Port), "selfLink": s.link(at + "/forwardingRules/" + r.Name)}
	if r.Region != "" {
		out["region"] = s.link(at)
	}
	switch b, ok := s.backends[r.Region+"/"+r.Backend]; {
	case r.Proxy != "":
		out["target"] = s.link(at + "/" + proxyKind(s.proxies[r.Region+"/"+r.Proxy].HTTPS) + "/" + r.Proxy)
	case ok && b.Pool:
		out["target"] = s.link(at + "/targetPools/" + r.Backend)
	default:
		out["backendService"] = s.link(at + "/backendServices/" + r.Backend)
	}
	return out
}

// under is the path of what is in a region, or global.
func under(region string) string {
	if region == "" {
		return "global"
	}
	return "regions/" + region
}

func proxyKind(secure bool) string {
	if secure {
		return "targetHttpsProxies"
	}
	return "targetHttpProxies"
}

func getProxy(secure bool) func(*Server, *http.Request, []string) reply {
	return func(s *Server, _ *http.Request, parts []string) reply {
		region, name := scope(parts)
		if p, ok := s.proxies[region+"/"+name]; !ok || p.HTTPS != secure {
			return s.absent(under(region) + "/" + proxyKind(secure) + "/" + name)
		}
		return reply{body: map[string]any{"name": name, "urlMap": s.link(under(region) + "/urlMaps/" + name)}}
	}
}

func (s *Server) getURLMap(_ *http.Request, parts []string) reply {
	region, name := scope(parts)
	p, ok := s.proxies[region+"/"+name]
	if !ok {
		return s.absent(under(region) + "/urlMaps/" + name)
	}
	service := func(backend string) string { return s.link(under(region) + "/backendServices/" + backend) }
	rules := []any{}
	for _, path := range slices.Sorted(maps.Keys(p.Paths)) {
		rules = append(rules, map[string]any{"paths": []string{path}, "service": service(p.Paths[path])})
	}
	body := map[string]any{"kind": "compute#urlMap", "name": name, "defaultService": service(p.Default)}
	if len(rules) > 0 {
		body["hostRules"] = []any{map[string]any{"hosts": []string{"*"}, "pathMatcher": "all"}}
		body["pathMatchers"] = []any{map[string]any{"name": "all", "defaultService": service(p.Default), "pathRules": rules}}
	}
	return reply{body: body}
}

func (s *Server) getBackend(_ *http.Request, parts []string) reply {
	region, name := scope(parts)
	b, ok := s.backends[region+"/"+name]
	if !ok || b.Pool {
		return s.absent("backendServices/" + name)
	}
	backends := []any{}
	for _, group := range slices.Sorted(maps.Keys(b.Healthy)) {
		backends = append(backends, map[string]any{"group": s.link("instanceGroups/" + group), "balancingMode": "CONNECTION"})
	}
	return reply{body: map[string]any{"kind": "compute#backendService", "name": name, "backends": backends}}
}

func (s *Server) groupHealth(r *http.Request, parts []string) reply {
	region, name := scope(parts)
	var body struct {
		Group string `json:"group"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Group == "" {
		return required("group")
	}
	group := body.Group[strings.LastIndex(body.Group, "/")+1:]
	b, ok := s.backends[region+"/"+name]
	if !ok || b.Healthy[group] == nil {
		return s.absent("instanceGroups/" + group)
	}
	return s.health("compute#backendServiceGroupHealth", b.Healthy[group], "")
}

func (s *Server) getPool(_ *http.Request, parts []string) reply {
	b, ok := s.backends[parts[1]+"/"+parts[2]]
	if !ok || !b.Pool {
		return s.absent("regions/" + parts[1] + "/targetPools/" + parts[2])
	}
	instances := []string{}
	for _, group := range b.Healthy {
		for _, i := range slices.Sorted(maps.Keys(group)) {
			instances = append(instances, s.link("zones/"+parts[1]+"-a/instances/"+i))
		}
	}
	return reply{body: map[string]any{"kind": "compute#targetPool", "name": parts[2], "instances": instances}}
}

func (s *Server) instanceHealth(r *http.Request, parts []string) reply {
	var body struct {
		Instance string `json:"instance"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Instance == "" {
		return required("instance")
	}
	name := body.Instance[strings.LastIndex(body.Instance, "/")+1:]
	for _, group := range s.backends[parts[1]+"/"+parts[2]].Healthy {
		if _, ok := group[name]; ok {
			return s.health("compute#targetPoolInstanceHealth", group, name)
		}
	}
	return s.absent("instances/" + name)
}

// health is how the instances of a group fare, or one of them.
func (s *Server) health(kind string, group map[string]bool, only string) reply {
	states := []any{}
	for _, i := range slices.Sorted(maps.Keys(group)) {
		if only == "" || i == only {
			state := "UNHEALTHY"
			if group[i] {
				state = "HEALTHY"
			}
			states = append(states, map[string]any{"instance": s.link("instances/" + i), "healthState": state, "port": 80})
		}
	}
	return reply{body: map[string]any{"kind": kind, "healthStatus": states}}
}

func required(field string) reply {
	return reply{refusal: Refusal{Status: http.StatusBadRequest, Reason: "required", Message: "Required field '" + field + "' not specified"}}
}
