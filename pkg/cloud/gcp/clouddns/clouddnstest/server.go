// Package clouddnstest is a Google Cloud DNS for tests: it speaks the REST protocol over HTTP and is as strict as Cloud DNS says it
// is about changes as a whole, exact deletions, CNAMEs, limits and paging. It answers no DNS query and asks for no credentials.
package clouddnstest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	gdns "google.golang.org/api/dns/v1"
)

// Project is the one that there is.
const Project = "test-project"

// Server is a Cloud DNS with one project.
type Server struct {
	URL string

	mu      sync.Mutex
	zones   map[string]*zone
	changes map[string]int
	polls   int
	page    int
	faults  []Fault
	calls   map[string]int
}

// Fault is an answer instead of the one that a request would have.
type Fault struct {
	// Operation is the one that fails: "zones", "list", "change", "get"; empty for any.
	Operation string
	Status    int
	Reason    string
	// Made: the request is carried out all the same.
	Made bool
}

type key struct{ name, recordType string }

type zone struct {
	name, dnsName, visibility string
	sets                      map[key]*gdns.ResourceRecordSet
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{zones: map[string]*zone{}, changes: map[string]int{}, calls: map[string]int{}, page: 1000}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// AddZone makes a managed zone.
func (s *Server) AddZone(name, dnsName string, private bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := &zone{name: name, dnsName: dnsName, visibility: "public", sets: map[key]*gdns.ResourceRecordSet{}}
	if private {
		z.visibility = "private"
	}
	z.put(&gdns.ResourceRecordSet{Name: dnsName, Type: "NS", Ttl: 21600, Rrdatas: []string{"ns-cloud-a1.googledomains.com."}})
	z.put(&gdns.ResourceRecordSet{Name: dnsName, Type: "SOA", Ttl: 21600, Rrdatas: []string{"ns-cloud-a1.googledomains.com. cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300"}})
	s.zones[name] = z
}

// RemoveZone deletes a managed zone, whatever is in it.
func (s *Server) RemoveZone(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.zones, name)
}

// Put writes a set as another hand would.
func (s *Server) Put(zone string, set *gdns.ResourceRecordSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones[zone].put(set)
}

// Fail queues faults; each is the answer to one request.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Pending makes each change take as many questions after it until it is done.
func (s *Server) Pending(polls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polls = polls
}

// Page sets the number of items that come at most in one answer.
func (s *Server) Page(items int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = items
}

// Calls is how often an operation was asked for, faults among them.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/dns/v1/projects/"+Project+"/managedZones")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if !ok {
		fail(w, http.StatusNotFound, "notFound", "The 'parameters.project' resource is not there.")
		return
	}
	var operation string
	var serve func()
	z := s.zones[parts[0]]
	switch {
	case path == "" && r.Method == http.MethodGet:
		operation, serve = "zones", func() { s.listZones(w, r) }
	case z == nil:
		fail(w, http.StatusNotFound, "notFound", fmt.Sprintf("The 'parameters.managedZone' resource named '%s' does not exist.", parts[0]))
		return
	case len(parts) == 1 && r.Method == http.MethodGet:
		operation, serve = "zones", func() { answer(w, z.out()) }
	case len(parts) == 2 && parts[1] == "rrsets" && r.Method == http.MethodGet:
		operation, serve = "list", func() { s.listSets(w, r, z) }
	case len(parts) == 2 && parts[1] == "changes" && r.Method == http.MethodPost:
		operation, serve = "change", func() { s.change(w, r, z) }
	case len(parts) == 3 && parts[1] == "changes" && r.Method == http.MethodGet:
		operation, serve = "get", func() { s.getChange(w, parts[2]) }
	default:
		fail(w, http.StatusNotFound, "notFound", r.Method+" "+r.URL.Path)
		return
	}
	s.calls[operation]++
	if i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.Operation == "" || f.Operation == operation }); i >= 0 {
		fault := s.faults[i]
		s.faults = slices.Delete(s.faults, i, i+1)
		if fault.Made {
			w, real := httptest.NewRecorder(), w
			s.change(w, r, z)
			fail(real, fault.Status, fault.Reason, "a fault of the test")
			return
		}
		fail(w, fault.Status, fault.Reason, "a fault of the test")
		return
	}
	serve()
}

func (z *zone) put(set *gdns.ResourceRecordSet) { z.sets[key{set.Name, set.Type}] = set }

func (z *zone) out() *gdns.ManagedZone {
	return &gdns.ManagedZone{Name: z.name, DnsName: z.dnsName, Visibility: z.visibility}
}

func (s *Server) listZones(w http.ResponseWriter, r *http.Request) {
	var zones []*gdns.ManagedZone
	for _, z := range s.zones {
		if name := r.URL.Query().Get("dnsName"); name == "" || name == z.dnsName {
			zones = append(zones, z.out())
		}
	}
	answerPage(s, w, r, zones, func(z *gdns.ManagedZone) string { return z.Name }, func(page []*gdns.ManagedZone, next string) any {
		return &gdns.ManagedZonesListResponse{ManagedZones: page, NextPageToken: next}
	})
}

func (s *Server) listSets(w http.ResponseWriter, r *http.Request, z *zone) {
	sets := slices.Collect(maps.Values(z.sets))
	answerPage(s, w, r, sets, func(s *gdns.ResourceRecordSet) string { return s.Name + " " + s.Type }, func(page []*gdns.ResourceRecordSet, next string) any {
		return &gdns.ResourceRecordSetsListResponse{Rrsets: page, NextPageToken: next}
	})
}

// answerPage answers with the items that follow the one that the token names: what comes and goes between two requests neither hides others
// nor shows them twice.
func answerPage[T any](s *Server, w http.ResponseWriter, r *http.Request, items []T, nameOf func(T) string, response func([]T, string) any) {
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(nameOf(a), nameOf(b)) })
	most := 100
	if text := r.URL.Query().Get("maxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			fail(w, http.StatusBadRequest, "invalid", "Invalid value for 'maxResults'")
			return
		}
		most = n
	}
	after, err := base64.URLEncoding.DecodeString(r.URL.Query().Get("pageToken"))
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid", "Invalid value for 'pageToken'")
		return
	}
	if from := slices.IndexFunc(items, func(i T) bool { return nameOf(i) > string(after) }); from >= 0 {
		items = items[from:]
	} else {
		items = nil
	}
	next := ""
	if n := min(most, s.page); n < len(items) {
		items = items[:n]
		next = base64.URLEncoding.EncodeToString([]byte(nameOf(items[n-1])))
	}
	answer(w, response(items, next))
}

func (s *Server) getChange(w http.ResponseWriter, id string) {
	left, ok := s.changes[id]
	if !ok {
		fail(w, http.StatusNotFound, "notFound", fmt.Sprintf("The 'parameters.changeId' resource named '%s' does not exist.", id))
		return
	}
	s.changes[id] = max(0, left-1)
	answer(w, &gdns.Change{Id: id, Status: status(left)})
}

func status(left int) string {
	if left > 0 {
		return "pending"
	}
	return "done"
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": code, "message": message,
		"errors": []map[string]any{{"domain": "global", "reason": reason, "message": message}}}})
}
