// Package traffic asks one Service as its users do: at a constant rate, each request on a connection of its own, at an address
// that the federation's DNS servers gave and that is kept no longer than its time to live. It counts what failed, and when.
//
// A request that fails is not tried again at another address: what a patient client would hide is what is to be seen.
package traffic

import (
	"context"
	"net"
	"sync"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
)

// Subject is what is asked, and how.
type Subject struct {
	// Key is NAMESPACE/NAME.
	Key string
	// Hostname is asked for at Servers, ADDRESS:PORT or NAME:PORT.
	Hostname string
	Servers  []string
	// Target is the request, but for its address; Port goes with the address.
	Target probe.Target
	Port   string
	// Rate is requests per second.
	Rate int
	// Clusters by address.
	Clusters map[string]string
}

// Load is the requests to one Subject.
type Load struct {
	stop    context.CancelFunc
	done    chan struct{}
	resolve *resolver
	record  record

	mu      sync.Mutex
	subject Subject
}

// Start sends requests until Stop. Counting goes on from what was counted so far; window is over which Result counts the
// latest requests.
func Start(s Subject, sofar federation.DrillServiceResult, window time.Duration) *Load {
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{stop: stop, done: make(chan struct{}), resolve: newResolver(), subject: s}
	l.record.result, l.record.window = *sofar.DeepCopy(), window
	l.record.result.Hostname = s.Hostname
	go l.run(ctx)
	return l
}

// Follow takes over what changed: where the Service is by now, and how far the drill is.
func (l *Load) Follow(s Subject, times federation.DrillTimes) {
	l.mu.Lock()
	if s.Hostname != "" { // else it can't be asked at the moment; users would go on
		l.subject = s
	}
	l.mu.Unlock()
	l.record.setTimes(times)
}

// Result is what requests met with so far, and how many of the window ended and failed.
func (l *Load) Result() (result federation.DrillServiceResult, recent, failed int64) {
	return l.record.read(time.Now())
}

// Stop ends the requests and waits for them.
func (l *Load) Stop() {
	l.stop()
	<-l.done
}

func (l *Load) run(ctx context.Context) {
	defer close(l.done)
	var requests sync.WaitGroup
	defer requests.Wait()
	period := time.Second / time.Duration(max(l.subject.Rate, 1))
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		requests.Go(func() { l.ask(ctx, turn) })
	}
}

// ask sends one request.
func (l *Load) ask(ctx context.Context, turn int) {
	l.mu.Lock()
	s := l.subject
	l.mu.Unlock()
	sent := time.Now()
	address, ttl, err := l.resolve.address(ctx, s.Hostname, s.Servers, turn)
	if err == nil {
		s.Target.Address = net.JoinHostPort(address, s.Port)
		err = probe.Ask(ctx, s.Target)
	}
	if ctx.Err() != nil {
		return // the drill ended, not the request
	}
	l.record.add(outcome{sent: sent, cluster: s.Clusters[address], ttl: ttl, err: err}, time.Now())
}
