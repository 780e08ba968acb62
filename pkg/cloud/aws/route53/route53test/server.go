// Package route53test is a Route 53 for tests: it speaks the REST-XML protocol over HTTP and is as strict as Route 53 says it is
// about batches, exact deletes, CNAMEs, routed sets, limits and paging. It answers no DNS query and checks no signature.
package route53test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a Route 53 with one account.
type Server struct {
	URL string

	mu      sync.Mutex
	zones   map[string]*zone
	changes map[string]int
	serial  int
	polls   int
	page    int
	faults  []Fault
	calls   map[string]int
	after   map[string]func()

	health      []*HealthCheck
	healthLimit int
	// spent are the caller references of health checks that were deleted.
	spent map[string]bool
	// ahead is by how much the clock of AWS is ahead.
	ahead time.Duration
}

// Fault is an answer instead of the one that a request would have.
type Fault struct {
	// Operation is the one that fails, such as ChangeResourceRecordSets; empty for any.
	Operation string
	Status    int
	Code      string
	// Made: the request is carried out all the same.
	Made bool
}

type zone struct {
	id, name string
	private  bool
	sets     map[string][]recordSet
	// list is sets in order, nil after a change.
	list []recordSet
}

type key struct{ name, recordType, id string }

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{zones: map[string]*zone{}, changes: map[string]int{}, calls: map[string]int{}, after: map[string]func(){}, page: 300, spent: map[string]bool{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// AddZone makes a hosted zone and returns its ID.
func (s *Server) AddZone(name string, private bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	z := &zone{id: fmt.Sprintf("Z%06d", s.serial), name: name, private: private, sets: map[string][]recordSet{}}
	z.put(recordSet{Name: name, Type: "NS", TTL: ptr(int64(172800)), Records: records("ns-1.awsdns-01.org.")})
	z.put(recordSet{Name: name, Type: "SOA", TTL: ptr(int64(900)), Records: records("ns-1.awsdns-01.org. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400")})
	s.zones[z.id] = z
	return z.id
}

// RemoveZone deletes a hosted zone, whatever is in it.
func (s *Server) RemoveZone(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.zones, id)
}

// Put writes a set as another hand would: name and values as Route 53 would give them back.
func (s *Server) Put(id, name, recordType string, ttl int64, values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones[id].put(recordSet{Name: escape(name), Type: recordType, TTL: &ttl, Records: records(values...)})
}

// Fail queues faults; each is the answer to one request.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Pending makes each change take as many questions after it until it is in effect.
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

// Clock sets by how much the clock of AWS is ahead of the client's: requests that are 5 minutes off are refused.
func (s *Server) Clock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = ahead
}

// Calls is how often an operation was asked for, faults among them.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// After has f run once, before the next answer to an operation is worked out: what another writer does meanwhile.
func (s *Server) After(operation string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after[operation] = f
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, serve, id := s.route(r)
	s.mu.Lock()
	f := s.after[operation]
	delete(s.after, operation)
	s.mu.Unlock()
	if f != nil {
		f()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
	switch {
	case operation == "":
		fail(w, http.StatusNotFound, "UnknownOperationException", r.Method+" "+r.URL.Path)
		return
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="):
		fail(w, http.StatusForbidden, "MissingAuthenticationToken", "Missing Authentication Token")
		return
	}
	now := time.Now().Add(s.ahead).UTC()
	w.Header().Set("Date", now.Format(http.TimeFormat))
	const stamp = "20060102T150405Z"
	if signed, err := time.Parse(stamp, r.Header.Get("X-Amz-Date")); err != nil || now.Sub(signed).Abs() > 5*time.Minute {
		fail(w, http.StatusForbidden, "SignatureDoesNotMatch", fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)",
			r.Header.Get("X-Amz-Date"), now.Add(-5*time.Minute).Format(stamp), now.Format(stamp)))
		return
	}
	if i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.Operation == "" || f.Operation == operation }); i >= 0 {
		fault := s.faults[i]
		s.faults = slices.Delete(s.faults, i, i+1)
		if fault.Made {
			serve(httptest.NewRecorder(), r, id)
		}
		fail(w, fault.Status, fault.Code, "a fault of the test")
		return
	}
	serve(w, r, id)
}

func (s *Server) route(r *http.Request) (string, func(http.ResponseWriter, *http.Request, string), string) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] != "2013-04-01" {
		return "", nil, ""
	}
	switch parts = parts[1:]; {
	case r.Method == http.MethodGet && len(parts) == 1 && parts[0] == "hostedzonesbyname":
		return "ListHostedZonesByName", s.listZones, ""
	case r.Method == http.MethodGet && len(parts) == 2 && parts[0] == "hostedzone":
		return "GetHostedZone", s.getZone, parts[1]
	case r.Method == http.MethodGet && len(parts) == 3 && parts[0] == "hostedzone" && parts[2] == "rrset":
		return "ListResourceRecordSets", s.listSets, parts[1]
	case r.Method == http.MethodPost && len(parts) == 3 && parts[0] == "hostedzone" && parts[2] == "rrset":
		return "ChangeResourceRecordSets", s.changeSets, parts[1]
	case r.Method == http.MethodGet && len(parts) == 1 && parts[0] == "healthcheck":
		return "ListHealthChecks", s.listHealthChecks, ""
	case r.Method == http.MethodPost && len(parts) == 1 && parts[0] == "healthcheck":
		return "CreateHealthCheck", s.createHealthCheck, ""
	case r.Method == http.MethodDelete && len(parts) == 2 && parts[0] == "healthcheck":
		return "DeleteHealthCheck", s.deleteHealthCheck, parts[1]
	case r.Method == http.MethodPost && len(parts) == 3 && parts[0] == "tags" && parts[1] == "healthcheck":
		return "ChangeTagsForResource", s.changeTags, parts[2]
	case r.Method == http.MethodGet && len(parts) == 2 && parts[0] == "change":
		return "GetChange", s.getChange, parts[1]
	}
	return "", nil, ""
}

func (s *Server) getChange(w http.ResponseWriter, _ *http.Request, id string) {
	left, ok := s.changes[id]
	if !ok {
		fail(w, http.StatusNotFound, "NoSuchChange", "Could not find resource with ID: "+id)
		return
	}
	s.changes[id] = max(0, left-1)
	answer(w, struct {
		XMLName    xmlName `xml:"https://route53.amazonaws.com/doc/2013-04-01/ GetChangeResponse"`
		ChangeInfo changeInfo
	}{ChangeInfo: s.info(id, left)})
}

func (s *Server) info(id string, left int) changeInfo {
	status := "INSYNC"
	if left > 0 {
		status = "PENDING"
	}
	return changeInfo{ID: "/change/" + id, Status: status, SubmittedAt: "2026-01-01T00:00:00Z"}
}

func (s *Server) getZone(w http.ResponseWriter, _ *http.Request, id string) {
	z, ok := s.zones[id]
	if !ok {
		noZone(w, id)
		return
	}
	answer(w, struct {
		XMLName    xmlName `xml:"https://route53.amazonaws.com/doc/2013-04-01/ GetHostedZoneResponse"`
		HostedZone hostedZone
	}{HostedZone: z.xml()})
}

func noZone(w http.ResponseWriter, id string) {
	fail(w, http.StatusNotFound, "NoSuchHostedZone", "No hosted zone found with ID: "+id)
}

func (s *Server) listZones(w http.ResponseWriter, r *http.Request, _ string) {
	q := r.URL.Query()
	all := make([]*zone, 0, len(s.zones))
	for _, z := range s.zones {
		all = append(all, z)
	}
	slices.SortFunc(all, func(a, b *zone) int {
		return cmp.Or(cmp.Compare(order(a.name), order(b.name)), cmp.Compare(a.id, b.id))
	})
	from := q.Get("dnsname")
	if from != "" && !strings.HasSuffix(from, ".") {
		from += "."
	}
	out := listZonesResponse{DNSName: q.Get("dnsname"), HostedZoneID: q.Get("hostedzoneid"), MaxItems: s.items(q.Get("maxitems"))}
	for _, z := range all {
		if from != "" && (order(z.name) < order(from) || z.name == from && z.id < q.Get("hostedzoneid")) {
			continue
		}
		if len(out.HostedZones) == out.MaxItems {
			out.IsTruncated, out.NextDNSName, out.NextHostedZoneID = true, z.name, z.id
			break
		}
		out.HostedZones = append(out.HostedZones, z.xml())
	}
	answer(w, out)
}

func (s *Server) items(asked string) int {
	n, err := strconv.Atoi(asked)
	if err != nil {
		return min(100, s.page)
	}
	return min(n, s.page)
}

func (s *Server) listSets(w http.ResponseWriter, r *http.Request, id string) {
	z, ok := s.zones[id]
	if !ok {
		noZone(w, id)
		return
	}
	q := r.URL.Query()
	if q.Get("type") != "" && q.Get("name") == "" || q.Get("identifier") != "" && q.Get("type") == "" {
		fail(w, http.StatusBadRequest, "InvalidInput", "StartRecordType needs a name, StartRecordIdentifier a type")
		return
	}
	from := key{escape(strings.ToLower(q.Get("name"))), q.Get("type"), q.Get("identifier")}
	if from.name != "" && !strings.HasSuffix(from.name, ".") {
		from.name += "."
	}
	out := listSetsResponse{MaxItems: s.items(q.Get("maxitems"))}
	sets := z.sorted()
	if from.name != "" {
		sets = sets[sort.Search(len(sets), func(i int) bool { return !before(sets[i].key(), from) }):]
	}
	for _, set := range sets {
		if len(out.Sets) == out.MaxItems {
			out.IsTruncated, out.NextName, out.NextType, out.NextIdentifier = true, set.Name, set.Type, set.SetIdentifier
			break
		}
		out.Sets = append(out.Sets, set.out())
	}
	answer(w, out)
}

// order is a name with its labels reversed, by which Route 53 sorts.
func order(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	slices.Reverse(labels)
	return strings.Join(labels, "\x00") + "\x00"
}

func before(a, b key) bool {
	return cmp.Or(cmp.Compare(order(a.name), order(b.name)), cmp.Compare(a.recordType, b.recordType), cmp.Compare(a.id, b.id)) < 0
}
