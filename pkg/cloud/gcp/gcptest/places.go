package gcptest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// place is a region or a zone.
type place struct {
	status, deprecated string
	zones              map[string]*place
}

// AddRegion makes a region with zones, all UP.
func (s *Server) AddRegion(name string, zones ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &place{status: "UP", zones: map[string]*place{}}
	for _, z := range zones {
		r.zones[z] = &place{status: "UP"}
	}
	s.regions[name] = r
}

// SetState sets the status of a region or a zone, UP or DOWN, and its deprecation: DEPRECATED, OBSOLETE, DELETED or none.
func (s *Server) SetState(name, status, deprecated string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.regions[name]
	for _, r := range s.regions {
		if z := r.zones[name]; z != nil {
			p = z
		}
	}
	if p == nil {
		return fmt.Errorf("there is no region or zone %s; add it with AddRegion", name)
	}
	p.status, p.deprecated = status, deprecated
	return nil
}

var placeRoutes = []route{
	on(http.MethodGet, "/compute/v1/projects/{project}/regions", "compute.regions.list", (*Server).listRegions),
	on(http.MethodGet, "/compute/v1/projects/{project}/regions/{region}", "compute.regions.get", (*Server).getRegion),
	on(http.MethodGet, "/compute/v1/projects/{project}/zones", "compute.zones.list", (*Server).listZones),
}

func (s *Server) listRegions(r *http.Request, _ []string) reply {
	var items []any
	for _, name := range slices.Sorted(maps.Keys(s.regions)) {
		items = append(items, s.regionOut(name))
	}
	return s.list(r, "compute#regionList", items)
}

func (s *Server) getRegion(_ *http.Request, parts []string) reply {
	if s.regions[parts[1]] == nil {
		return s.absent("regions/" + parts[1])
	}
	return reply{body: s.regionOut(parts[1])}
}

func (s *Server) regionOut(name string) map[string]any {
	r := s.regions[name]
	out := r.out("compute#region", name, s.link("regions/"+name))
	zones := []string{}
	for _, z := range slices.Sorted(maps.Keys(r.zones)) {
		zones = append(zones, s.link("zones/"+z))
	}
	out["zones"] = zones
	return out
}

func (s *Server) listZones(r *http.Request, _ []string) reply {
	var items []any
	for _, region := range slices.Sorted(maps.Keys(s.regions)) {
		for _, name := range slices.Sorted(maps.Keys(s.regions[region].zones)) {
			out := s.regions[region].zones[name].out("compute#zone", name, s.link("zones/"+name))
			out["region"] = s.link("regions/" + region)
			items = append(items, out)
		}
	}
	return s.list(r, "compute#zoneList", items)
}

// out has an ID as Compute Engine writes them: 64 bits in a string.
func (p *place) out(kind, name, link string) map[string]any {
	out := map[string]any{"kind": kind, "id": "2210000000000000000", "name": name, "status": p.status, "selfLink": link}
	if p.deprecated != "" {
		out["deprecated"] = map[string]any{"state": p.deprecated}
	}
	return out
}

func (s *Server) link(path string) string {
	return "https://www.googleapis.com/compute/v1/projects/" + s.Project + "/" + path
}

// list is one page of a list of Compute Engine.
func (s *Server) list(r *http.Request, kind string, items []any) reply {
	from, to, next, refusal := s.cut(r, "maxResults", len(items))
	if refusal.Status != 0 {
		return reply{refusal: refusal}
	}
	body := map[string]any{"kind": kind, "id": "projects/" + s.Project + "/" + strings.TrimPrefix(kind, "compute#")}
	if page := items[from:to]; len(page) > 0 {
		body["items"] = page
	}
	if next != "" {
		body["nextPageToken"] = next
	}
	return reply{body: body}
}

func (s *Server) absent(path string) reply {
	return notFound("The resource 'projects/%s/%s' was not found", s.Project, path)
}
