package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// writes counts API writes by verb, resource and whether they were refused.
type writes map[string]int

var requestTotal = regexp.MustCompile(`(?m)^apiserver_request_total\{(.*)\} ([0-9.e+]+)$`)

func label(labels, name string) string {
	m := regexp.MustCompile(`(?:^|,)` + name + `="([^"]*)"`).FindStringSubmatch(labels)
	if m == nil {
		return ""
	}
	return m[1]
}

// writes reads the server's own counters. Leases are left out: they are renewed whether anything happens or not.
func (s *server) writes(ctx context.Context) (writes, error) {
	text, err := s.client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of %s: %w", s.name, err)
	}
	w := writes{}
	for _, m := range requestTotal.FindAllStringSubmatch(string(text), -1) {
		verb, resource := label(m[1], "verb"), label(m[1], "resource")
		switch verb {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		default:
			continue
		}
		if resource == "leases" || strings.HasSuffix(resource, "reviews") || label(m[1], "dry_run") != "" {
			continue
		}
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return nil, fmt.Errorf("reading the metrics of %s: %w", s.name, err)
		}
		if sub := label(m[1], "subresource"); sub != "" {
			resource += "/" + sub
		}
		key := verb + " " + resource
		if code := label(m[1], "code"); !strings.HasPrefix(code, "2") {
			key += " refused with " + code
		}
		w[key] += int(n)
	}
	return w, nil
}

// memberWrites adds up all members' counters.
func (w *world) memberWrites(ctx context.Context) (writes, error) {
	sum := writes{}
	for _, m := range w.members {
		one, err := m.writes(ctx)
		if err != nil {
			return nil, err
		}
		for key, n := range one {
			sum[key] += n
		}
	}
	return sum, nil
}

func (w writes) since(before writes) writes {
	d := writes{}
	for key, n := range w {
		if n != before[key] {
			d[key] = n - before[key]
		}
	}
	return d
}

// component says who sends a write to the federation API while Deployments come and go.
func component(key string) string {
	verb, rest, _ := strings.Cut(key, " ")
	resource, _, _ := strings.Cut(rest, " ")
	switch {
	case resource == "placementdecisions" && verb != "DELETE":
		return "placement"
	case resource == "deployments" && (verb == "POST" || verb == "DELETE"):
		return "user"
	case resource == "events":
		return "events"
	}
	return "sync"
}
