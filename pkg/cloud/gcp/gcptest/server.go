// Package gcptest is a Google Cloud that runs in the process: the REST protocols of GKE, Compute Engine, Cloud Billing, OAuth and the
// metadata server, as the official clients speak them, with one project whose state is set while it runs. It is strict: a token is
// needed, permissions are checked, pages are cut, and what it does not know is an error. It serves tests, and as a simulated cloud.
package gcptest

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the cloud. It is a plain http.Handler, safe for concurrent use.
type Server struct {
	// Project is its only one.
	Project string

	mu         sync.Mutex
	identities map[string]*identity
	tokens     map[string]issued
	machine    string // identity of the metadata server
	lifetime   time.Duration
	anonymous  bool
	denied     map[string]bool
	faults     []Fault
	calls      map[string]int
	page       int

	clusters map[string]Cluster
	missing  []string
	regions  map[string]*place
	rules    map[string]Rule
	backends map[string]Backend
	proxies  map[string]Proxy
	skus     map[string]SKU
}

// New is a cloud with a project in which there is nothing.
func New(project string) *Server {
	return &Server{Project: project, identities: map[string]*identity{}, tokens: map[string]issued{}, lifetime: time.Hour, denied: map[string]bool{},
		calls: map[string]int{}, page: 500, clusters: map[string]Cluster{}, regions: map[string]*place{}, rules: map[string]Rule{},
		backends: map[string]Backend{}, proxies: map[string]Proxy{}, skus: map[string]SKU{}}
}

// Fault is an answer instead of the one that a request would have.
type Fault struct {
	// Operation is the permission that the request takes, such as "container.clusters.list"; "token" for OAuth; empty for any.
	Operation string
	// Error is the answer; Delay comes before it, or before the right answer if there is no Error.
	Error Refusal
	Delay time.Duration
	// Loop answers with the first page always, and the same token for a next one.
	Loop bool
	// Always stays until Heal; otherwise one request is answered so.
	Always bool
}

// Fail queues faults.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Heal forgets all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Deny takes permissions from everybody; Allow gives them back.
func (s *Server) Deny(permissions ...string) { s.permit(true, permissions) }

// Allow gives permissions back.
func (s *Server) Allow(permissions ...string) { s.permit(false, permissions) }

func (s *Server) permit(deny bool, permissions []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range permissions {
		s.denied[p] = deny
	}
}

// Page sets the number of items that come at most in one answer.
func (s *Server) Page(items int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = items
}

// Calls is how often something was asked for, faults among them; the operation is as in Fault.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// reply is what a request is answered with.
type reply struct {
	body    any
	refusal Refusal
}

// route is one request that the server knows. Answering holds the lock.
type route struct {
	method     string
	path       *regexp.Regexp
	permission string
	answer     func(s *Server, r *http.Request, parts []string) reply
}

func on(method, path, permission string, answer func(*Server, *http.Request, []string) reply) route {
	pattern := regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(path, `([A-Za-z0-9._:-]+)`)
	return route{method, regexp.MustCompile("^" + pattern + "$"), permission, answer}
}

var routes = slices.Concat(containerRoutes, placeRoutes, balancerRoutes, billingRoutes)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == tokenPath:
		s.serveToken(w, r)
		return
	case strings.HasPrefix(r.URL.Path, metadataPath):
		s.serveMetadata(w, r)
		return
	}
	for _, known := range routes {
		if parts := known.path.FindStringSubmatch(r.URL.Path); parts != nil && r.Method == known.method {
			s.serve(w, r, known, parts[1:])
			return
		}
	}
	Refusal{Status: http.StatusNotFound, Reason: "notFound", Message: "The requested URL " + r.URL.Path + " was not found on this server."}.write(w)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, known route, parts []string) {
	fault, failed := s.enter(known.permission)
	if failed && !fault.hold(r) {
		return
	}
	s.mu.Lock()
	out := s.answer(r, known, parts, fault)
	s.mu.Unlock()
	if out.refusal.Status != 0 {
		out.refusal.write(w)
		return
	}
	write(w, http.StatusOK, out.body)
}

// answer holds the lock.
func (s *Server) answer(r *http.Request, known route, parts []string, fault Fault) reply {
	if fault.Error.Status != 0 {
		return reply{refusal: fault.Error}
	}
	if !s.anonymous {
		if _, err := s.verify(bearer(r)); err != nil {
			return reply{refusal: Unauthenticated}
		}
	}
	if project := projectOf(r.URL.Path); project != "" && project != s.Project || s.denied[known.permission] {
		return reply{refusal: Denied(known.permission, s.Project)}
	}
	if fault.Loop {
		query := r.URL.Query()
		query.Del("pageToken")
		r.URL.RawQuery = query.Encode()
	}
	out := known.answer(s, r, parts)
	if list, ok := out.body.(map[string]any); ok && fault.Loop {
		list["nextPageToken"] = "again"
	}
	return out
}

// enter counts a request and takes the fault that it meets.
func (s *Server) enter(operation string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.Operation == "" || f.Operation == operation })
	if i < 0 {
		return Fault{}, false
	}
	fault := s.faults[i]
	if !fault.Always {
		s.faults = slices.Delete(s.faults, i, i+1)
	}
	return fault, true
}

// hold waits as long as the fault says, and says whether there is still somebody to answer. That the client went away is seen only
// after its request was read.
func (f Fault) hold(r *http.Request) bool {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

var inProject = regexp.MustCompile(`/projects/([^/]+)`)

func projectOf(path string) string {
	if m := inProject.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	return ""
}

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// cut is the part of n items that a request is answered with. The parameter for its size differs from API to API.
func (s *Server) cut(r *http.Request, size string, n int) (from, to int, next string, refusal Refusal) {
	most := s.page
	for name, into := range map[string]*int{"pageToken": &from, size: &most} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		value, err := strconv.Atoi(text)
		if err != nil || value < 0 {
			return 0, 0, "", Refusal{Status: http.StatusBadRequest, Reason: "invalid", Message: "Invalid value for field '" + name + "': '" + text + "'."}
		}
		*into = value
	}
	from = min(from, n)
	if most == 0 {
		most = s.page
	}
	to = min(n, from+min(most, s.page))
	if to < n {
		next = strconv.Itoa(to)
	}
	return from, to, next, Refusal{}
}
