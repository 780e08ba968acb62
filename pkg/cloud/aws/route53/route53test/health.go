package route53test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"kubefed.dev/kubefed/pkg/cloud/aws/places"
)

// HealthCheckConfig is what a health check asks.
type HealthCheckConfig struct {
	Type                     string
	IPAddress                string   `xml:",omitempty"`
	Port                     int      `xml:",omitempty"`
	ResourcePath             string   `xml:",omitempty"`
	FullyQualifiedDomainName string   `xml:",omitempty"`
	SearchString             string   `xml:",omitempty"`
	RequestInterval          int      `xml:",omitempty"`
	FailureThreshold         int      `xml:",omitempty"`
	EnableSNI                *bool    `xml:",omitempty"`
	Disabled                 bool     `xml:",omitempty"`
	Inverted                 bool     `xml:",omitempty"`
	HealthThreshold          *int     `xml:",omitempty"`
	ChildHealthChecks        []string `xml:"ChildHealthChecks>ChildHealthCheck,omitempty"`
}

// HealthCheck is one of the account.
type HealthCheck struct {
	ID                 string `xml:"Id"`
	CallerReference    string
	HealthCheckConfig  HealthCheckConfig
	HealthCheckVersion int
	// Tags are not part of what is asked for.
	Tags map[string]string `xml:"-"`
}

// HealthChecks are those that there are, in the order in which they were made.
func (s *Server) HealthChecks() []HealthCheck {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []HealthCheck
	for _, h := range s.health {
		all = append(all, *h)
	}
	return all
}

// PutHealthCheck makes one, or another one of the same ID, as another hand would.
func (s *Server) PutHealthCheck(h HealthCheck) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.health, func(o *HealthCheck) bool { return o.ID == h.ID }); i >= 0 {
		s.health[i] = &h
		return h.ID
	}
	s.serial++
	h.ID = fmt.Sprintf("hc-%06d", s.serial)
	s.health = append(s.health, &h)
	return h.ID
}

// RemoveHealthCheck deletes one, whoever names it.
func (s *Server) RemoveHealthCheck(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = slices.DeleteFunc(s.health, func(h *HealthCheck) bool { return h.ID == id })
}

// LimitHealthChecks is how many the account may have.
func (s *Server) LimitHealthChecks(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healthLimit = n
}

// Dangling counts the record sets and health checks that name a health check that is not there. Route 53 deletes what is in use.
func (s *Server) Dangling() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, z := range s.zones {
		for _, set := range z.sorted() {
			if set.HealthCheckID != "" && s.healthCheck(set.HealthCheckID) == nil {
				n++
			}
		}
	}
	for _, h := range s.health {
		for _, child := range h.HealthCheckConfig.ChildHealthChecks {
			if s.healthCheck(child) == nil {
				n++
			}
		}
	}
	return n
}

func (s *Server) healthCheck(id string) *HealthCheck {
	if i := slices.IndexFunc(s.health, func(h *HealthCheck) bool { return h.ID == id }); i >= 0 {
		return s.health[i]
	}
	return nil
}

func (s *Server) createHealthCheck(w http.ResponseWriter, r *http.Request, _ string) {
	var request struct {
		CallerReference   string
		HealthCheckConfig HealthCheckConfig
	}
	if err := xml.NewDecoder(r.Body).Decode(&request); err != nil {
		fail(w, http.StatusBadRequest, "MalformedInput", fmt.Sprint("Unexpected request body: ", err))
		return
	}
	if reason := s.badHealthCheck(request.CallerReference, &request.HealthCheckConfig); reason != "" {
		fail(w, http.StatusBadRequest, "InvalidInput", "Invalid parameter : "+reason)
		return
	}
	for _, h := range s.health {
		if h.CallerReference == request.CallerReference {
			if !reflect.DeepEqual(h.HealthCheckConfig, request.HealthCheckConfig) {
				fail(w, http.StatusConflict, "HealthCheckAlreadyExists", "A health check has already been created with the specified caller reference.")
				return
			}
			s.answerHealthCheck(w, h)
			return
		}
	}
	switch {
	case s.spent[request.CallerReference]:
		fail(w, http.StatusConflict, "HealthCheckAlreadyExists", "A health check with the specified caller reference was deleted.")
		return
	case s.healthLimit > 0 && len(s.health) >= s.healthLimit:
		fail(w, http.StatusBadRequest, "TooManyHealthChecks", "Cannot create more health checks: the limit is reached.")
		return
	}
	s.serial++
	h := &HealthCheck{ID: fmt.Sprintf("hc-%06d", s.serial), CallerReference: request.CallerReference, HealthCheckConfig: request.HealthCheckConfig, HealthCheckVersion: 1}
	s.health = append(s.health, h)
	s.answerHealthCheck(w, h)
}

func (s *Server) answerHealthCheck(w http.ResponseWriter, h *HealthCheck) {
	w.Header().Set("Location", "https://route53.amazonaws.com/2013-04-01/healthcheck/"+h.ID)
	answer(w, struct {
		XMLName     xmlName `xml:"https://route53.amazonaws.com/doc/2013-04-01/ CreateHealthCheckResponse"`
		HealthCheck HealthCheck
	}{HealthCheck: *h})
}

// badHealthCheck says what is wrong with a health check.
func (s *Server) badHealthCheck(reference string, c *HealthCheckConfig) string {
	if reference == "" || len(reference) > 64 {
		return "CallerReference has 1 to 64 characters"
	}
	if c.Type == "CALCULATED" {
		if len(c.ChildHealthChecks) > 255 || c.HealthThreshold == nil || c.IPAddress != "" || c.RequestInterval != 0 || c.FailureThreshold != 0 {
			return "a calculated health check has children and a threshold, and nothing else"
		}
		for _, child := range c.ChildHealthChecks {
			if s.healthCheck(child) == nil {
				return "child health check " + child + " does not exist"
			}
		}
		return ""
	}
	addr, err := netip.ParseAddr(c.IPAddress)
	web := c.Type == "HTTP" || c.Type == "HTTPS"
	switch {
	case c.Type != "TCP" && !web:
		return "Type"
	case err != nil:
		return "IPAddress"
	case !places.Checkable(addr):
		return "IPAddress " + c.IPAddress + " is reserved or private"
	case c.Port < 1 || c.Port > 65535:
		return "Port"
	case c.RequestInterval != 10 && c.RequestInterval != 30:
		return "RequestInterval"
	case c.FailureThreshold < 1 || c.FailureThreshold > 10:
		return "FailureThreshold"
	case len(c.ResourcePath) > 255 || len(c.FullyQualifiedDomainName) > 255:
		return "ResourcePath or FullyQualifiedDomainName is longer than 255"
	case c.ResourcePath != "" && (!web || !strings.HasPrefix(c.ResourcePath, "/")):
		return "ResourcePath"
	case c.EnableSNI != nil && *c.EnableSNI && c.Type != "HTTPS":
		return "EnableSNI"
	case c.Type == "TCP" && (c.SearchString != "" || c.FullyQualifiedDomainName != ""):
		return "TCP asks for nothing"
	}
	return ""
}

func (s *Server) listHealthChecks(w http.ResponseWriter, r *http.Request, _ string) {
	q := r.URL.Query()
	n, err := strconv.Atoi(q.Get("maxitems"))
	if err != nil {
		n = 100
	}
	n = min(n, s.page)
	from := 0
	if marker := q.Get("marker"); marker != "" {
		if from = slices.IndexFunc(s.health, func(h *HealthCheck) bool { return h.ID == marker }); from < 0 {
			fail(w, http.StatusBadRequest, "InvalidInput", "no such marker")
			return
		}
	}
	out := struct {
		XMLName      xmlName       `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListHealthChecksResponse"`
		HealthChecks []HealthCheck `xml:"HealthChecks>HealthCheck"`
		Marker       string
		IsTruncated  bool
		NextMarker   string `xml:",omitempty"`
		MaxItems     int
	}{Marker: q.Get("marker"), MaxItems: n}
	for _, h := range s.health[from:] {
		if len(out.HealthChecks) == n {
			out.IsTruncated, out.NextMarker = true, h.ID
			break
		}
		out.HealthChecks = append(out.HealthChecks, *h)
	}
	answer(w, out)
}

func (s *Server) deleteHealthCheck(w http.ResponseWriter, _ *http.Request, id string) {
	h := s.healthCheck(id)
	if h == nil {
		fail(w, http.StatusNotFound, "NoSuchHealthCheck", "No health check exists with the specified ID: "+id)
		return
	}
	s.spent[h.CallerReference] = true
	s.health = slices.DeleteFunc(s.health, func(o *HealthCheck) bool { return o == h })
	answer(w, struct {
		XMLName xmlName `xml:"https://route53.amazonaws.com/doc/2013-04-01/ DeleteHealthCheckResponse"`
	}{})
}

func (s *Server) changeTags(w http.ResponseWriter, r *http.Request, id string) {
	var request struct {
		AddTags []struct{ Key, Value string } `xml:"AddTags>Tag"`
	}
	h := s.healthCheck(id)
	switch err := xml.NewDecoder(r.Body).Decode(&request); {
	case err != nil || len(request.AddTags) == 0 || len(request.AddTags) > 10:
		fail(w, http.StatusBadRequest, "InvalidInput", "give 1 to 10 tags")
		return
	case h == nil:
		fail(w, http.StatusNotFound, "NoSuchHealthCheck", "No health check exists with the specified ID: "+id)
		return
	}
	if h.Tags == nil {
		h.Tags = map[string]string{}
	}
	for _, tag := range request.AddTags {
		if len(tag.Key) > 128 || len(tag.Value) > 256 {
			fail(w, http.StatusBadRequest, "InvalidInput", "a tag is too long")
			return
		}
		h.Tags[tag.Key] = tag.Value
	}
	answer(w, struct {
		XMLName xmlName `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeTagsForResourceResponse"`
	}{})
}
