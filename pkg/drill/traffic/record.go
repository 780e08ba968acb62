package traffic

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

const (
	outagesLimit  = 20
	clustersLimit = 64
	// outageGap is how far apart two failures of one outage may be.
	outageGap = time.Second
)

// outcome is how one request ended.
type outcome struct {
	sent    time.Time
	cluster string // empty where no address was found, or a stranger's
	ttl     time.Duration
	err     error
}

// record counts outcomes. It is safe for concurrent use.
type record struct {
	mu     sync.Mutex
	window time.Duration
	times  federation.DrillTimes
	result federation.DrillServiceResult
	recent []ended
}

// ended is a request of the window.
type ended struct {
	at     time.Time
	failed bool
}

func (r *record) setTimes(times federation.DrillTimes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = times
}

func (r *record) add(o outcome, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Requests++
	r.recent = append(r.recent, ended{now, o.err != nil})
	r.result.TTLSeconds = max(r.result.TTLSeconds, int32(o.ttl/time.Second))
	if o.cluster != "" {
		r.answered(o)
	}
	if o.err != nil {
		r.failed(o)
	}
}

func (r *record) answered(o outcome) {
	i, found := slices.BinarySearchFunc(r.result.Clusters, o.cluster, func(a federation.DrillAnswers, name string) int {
		switch {
		case a.Name < name:
			return -1
		case a.Name > name:
			return 1
		}
		return 0
	})
	if !found {
		if len(r.result.Clusters) == clustersLimit {
			return
		}
		r.result.Clusters = slices.Insert(r.result.Clusters, i, federation.DrillAnswers{Name: o.cluster})
	}
	r.result.Clusters[i].Requests++
	if o.err != nil {
		r.result.Clusters[i].Failed++
	}
}

func (r *record) failed(o outcome) {
	s, sent := &r.result, metav1.MicroTime{Time: o.sent}
	s.Failed++
	s.LastError = shorten(o.err.Error())
	if s.FirstFailure == nil || o.sent.Before(s.FirstFailure.Time) {
		s.FirstFailure = &sent
	}
	if s.LastFailure == nil || o.sent.After(s.LastFailure.Time) {
		s.LastFailure = &sent
	}
	switch t := &r.times; {
	case t.Restoring != nil && !o.sent.Before(t.Restoring.Time):
		s.FailedInRestore++
	case t.Withdrawn != nil && o.sent.After(t.Withdrawn.Add(time.Duration(s.TTLSeconds)*time.Second)):
		s.FailedLate++
	}
	r.outage(sent)
}

// outage adds a failure to the outage that it is part of. Requests end in another order than they were sent in.
func (r *record) outage(sent metav1.MicroTime) {
	s := &r.result
	for i := range s.Outages {
		o := &s.Outages[i]
		if sent.After(o.From.Add(-outageGap)) && sent.Time.Before(o.To.Add(outageGap)) || i == outagesLimit-1 {
			o.Failed++
			if sent.Before(&o.From) {
				o.From = sent
			}
			if o.To.Before(&sent) {
				o.To = sent
			}
			return
		}
	}
	s.Outages = append(s.Outages, federation.DrillOutage{From: sent, To: sent, Failed: 1})
	slices.SortFunc(s.Outages, func(a, b federation.DrillOutage) int { return a.From.Compare(b.From.Time) })
}

func (r *record) read(now time.Time) (federation.DrillServiceResult, int64, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent = slices.DeleteFunc(r.recent, func(e ended) bool { return now.Sub(e.at) > r.window })
	failed := int64(0)
	for _, e := range r.recent {
		if e.failed {
			failed++
		}
	}
	return *r.result.DeepCopy(), int64(len(r.recent)), failed
}

// shorten bounds what is stored of an error.
func shorten(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most]
	}
	return text
}
