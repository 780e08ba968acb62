package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// writes counts API writes by resource, from the API server's own metric.
type writes map[string]int

var requestTotal = regexp.MustCompile(`(?m)^apiserver_request_total\{(.*)\} ([0-9.e+]+)$`)

func label(labels, name string) string {
	m := regexp.MustCompile(`(?:^|,)` + name + `="([^"]*)"`).FindStringSubmatch(labels)
	if m == nil {
		return ""
	}
	return m[1]
}

// writes reads the counters. Leases are left out: they are renewed whether anything happens or not.
func (s *shell) writes(ctx context.Context) (writes, error) {
	var out, stderr bytes.Buffer
	if err := s.command(ctx, "kubectl --context=fellowship get --raw /metrics", &out, &stderr); err != nil {
		return nil, fmt.Errorf("reading the API server's metrics: %w: %s", err, stderr.String())
	}
	w := writes{}
	for _, m := range requestTotal.FindAllStringSubmatch(out.String(), -1) {
		labels := m[1]
		switch label(labels, "verb") {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		default:
			continue
		}
		resource := label(labels, "resource")
		if resource == "leases" || strings.HasSuffix(resource, "reviews") || label(labels, "dry_run") != "" {
			continue
		}
		if sub := label(labels, "subresource"); sub != "" {
			resource += "/" + sub
		}
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return nil, fmt.Errorf("reading the API server's metrics: %w", err)
		}
		w[label(labels, "verb")+" "+resource] += int(n)
	}
	return w, nil
}

func (w writes) since(before writes) writes {
	d := writes{}
	for key, n := range w {
		if n > before[key] {
			d[key] = n - before[key]
		}
	}
	return d
}

func (w writes) total() (n int) {
	for _, c := range w {
		n += c
	}
	return n
}

func (w writes) String() string {
	var lines []string
	for key, n := range w {
		lines = append(lines, fmt.Sprintf("  %3d %s", n, key))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// settled waits until the counters have stood still for two seconds.
func (s *shell) settled(ctx context.Context) error {
	last, err := s.writes(ctx)
	if err != nil {
		return err
	}
	for still := 0; still < 4; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		now, err := s.writes(ctx)
		if err != nil {
			return err
		}
		if now.since(last).total() == 0 {
			still++
		} else {
			still = 0
		}
		last = now
	}
	return nil
}
