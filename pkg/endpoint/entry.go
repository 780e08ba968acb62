package endpoint

import (
	"net/netip"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kubefed.dev/kubefed/pkg/dns"
	"kubefed.dev/kubefed/pkg/probe"
)

// entry is one object in one cluster.
type entry struct {
	key     Key
	cluster string
	served  served
	at      []asked
	// past is what was believed before a restart, for addresses that come up first.
	past    Track
	outcome Observed
	// probePort is asked at every address; 0 for none.
	probePort uint16
	// counts in the cluster's traffic.
	probed, alive bool
}

// asked is an address of an entry.
type asked struct {
	address netip.Addr
	target  probe.Target // zero: nobody asks
	track   Track
}

// entryLocked returns the entry of an object in a cluster, a new one where there is none.
func (c *Collector) entryLocked(key Key, name string) *entry {
	m := c.memberLocked(name)
	if e := m.entries[key]; e != nil {
		return e
	}
	e := &entry{key: key, cluster: name}
	e.outcome.Cluster = name
	if c.entries[key] == nil {
		c.entries[key] = map[string]*entry{}
	}
	c.entries[key][name], m.entries[key] = e, e
	return e
}

// recall makes an entry what it was before a restart.
func (e *entry) recall(o Observed) {
	e.past, e.outcome = believed(o), o
	e.served = served{place: place{addresses: slices.Clone(o.Addresses), hostnames: slices.Clone(o.Hostnames)}, ready: o.Ready}
	for _, p := range o.Ports {
		e.served.ports = append(e.served.ports, port{name: p.Name, protocol: p.Protocol, number: p.Number, service: p.Number})
	}
}

// believed is what an endpoint's state before a restart says of its addresses.
func believed(o Observed) Track {
	t := Track{State: o.State, Doubtful: o.Doubtful, Reason: o.Reason, Message: o.Message, Since: o.Since}
	t.Served = o.Reason != ReasonPending && o.Reason != ReasonNoAddress && (o.State != dns.Unknown || o.Reason != ReasonNoAnswer)
	if t.Served && o.State == dns.Unhealthy {
		t.Out, t.Hold = true, baseHold // it may have been in before: better a hold-down too many than none
	}
	return t
}

// recallLate takes over what was believed of addresses that were found again meanwhile, but of which nothing is known yet.
func (c *Collector) recallLate(e *entry, o Observed) {
	for i := range e.at {
		a := &e.at[i]
		fresh := a.track.Reason == ReasonPending || a.track.Reason == ReasonNoAnswer
		if fresh && !a.track.Served && slices.Contains(o.Addresses, a.address) {
			a.track = believed(o)
			if q := c.questions[a.target]; q != nil {
				q.answered = q.answered || a.track.Served
			}
		}
	}
}

// drop forgets an entry.
func (c *Collector) drop(e *entry) {
	for _, a := range e.at {
		c.release(a.target, e)
	}
	for _, name := range e.served.hostnames {
		c.unname(name, e)
	}
	c.count(e, false, false)
	c.judge.set(e, time.Time{})
	c.tally(e.cluster, e.outcome.State, "")
	delete(c.entries[e.key], e.cluster)
	if len(c.entries[e.key]) == 0 {
		delete(c.entries, e.key)
	}
	delete(c.members[e.cluster].entries, e.key)
}

// saw takes over what a member says of objects; nil: it serves them no more.
func (c *Collector) saw(name string, all map[Key]*served) {
	var changes news
	c.mu.Lock()
	now := time.Now()
	for key, s := range all {
		changes.add(key, c.update(name, key, s, now))
	}
	c.mu.Unlock()
	c.publish(changes)
}

// sawAll takes over all that a member has of a kind; nil is not known yet.
func (c *Collector) sawAll(name string, kind schema.GroupKind, all map[Key]*served) {
	var changes news
	c.mu.Lock()
	now := time.Now()
	m := c.memberLocked(name)
	m.read[kind] = true
	for key, s := range all {
		if s == nil {
			m.vague[key] = true
		} else {
			changes.add(key, c.update(name, key, s, now))
		}
	}
	for key := range m.entries {
		if _, has := all[key]; !has && key.Group == kind.Group && key.Kind == kind.Kind {
			changes.add(key, c.update(name, key, nil, now))
		}
	}
	c.mu.Unlock()
	c.publish(changes)
}

func (c *Collector) update(name string, key Key, s *served, now time.Time) (changed bool) {
	m := c.memberLocked(name)
	delete(m.vague, key)
	e := m.entries[key]
	switch {
	case s == nil && e == nil:
		return false
	case s == nil:
		c.drop(e)
		return true
	case e != nil && e.served.same(*s):
		return false
	}
	e = c.entryLocked(key, name)
	names := e.served.hostnames
	e.served = *s
	for _, gone := range names {
		if !slices.Contains(s.hostnames, gone) {
			c.unname(gone, e)
		}
	}
	c.retarget(e)
	return c.evaluate(e, now)
}

// retarget has the entry's addresses asked what its probe says, and no others.
func (c *Collector) retarget(e *entry) {
	addresses := slices.Clone(e.served.addresses)
	for _, name := range e.served.hostnames {
		addresses = append(addresses, c.name(name, e)...)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	addresses = slices.Compact(addresses)
	e.probePort, _ = e.served.probePort(c.asked[e.key])
	before := e.at
	e.at = make([]asked, 0, len(addresses))
	p := c.asked[e.key]
	for _, address := range addresses {
		a := asked{address: address, track: e.past}
		if i := slices.IndexFunc(before, func(b asked) bool { return b.address == address }); i >= 0 {
			a.track = before[i].track
		}
		if target, asks := e.served.question(p, e.cluster, address); asks {
			a.target = target
			c.hold(target, e, c.period(p), a.track.Served)
		}
		e.at = append(e.at, a)
	}
	for _, b := range before {
		if !slices.ContainsFunc(e.at, func(a asked) bool { return a.target == b.target }) {
			c.release(b.target, e)
		}
	}
	if len(e.at) > 0 {
		e.past = Track{}
	}
}

// evaluate works out the entry's outcome, and says whether it differs.
func (c *Collector) evaluate(e *entry, now time.Time) (changed bool) {
	m := c.memberLocked(e.cluster)
	evidence, wake := m.evidence(e, now)
	all := make([]located, len(e.at))
	for i := range e.at {
		a := &e.at[i]
		evidence.Targetless = c.targetless(e, a.address)
		next, again := Judge(a.track, c.heard(evidence, a.target), now)
		a.track, all[i] = next, located{a.address, next}
		wake = earlier(wake, again)
	}
	c.judge.set(e, wake)
	c.recount(e)
	o := e.observe(all)
	if o.same(e.outcome) {
		return false
	}
	if o.State != e.outcome.State {
		c.tally(e.cluster, e.outcome.State, o.State)
		o.Since = now
	} else {
		o.Since = e.outcome.Since
	}
	if o.State == e.outcome.State && o.Reason == e.outcome.Reason {
		o.Message = e.outcome.Message
	}
	e.outcome = o
	return true
}

// targetless says that the cloud finds nothing healthy behind an address, or behind any of the host names that may have led to it.
func (c *Collector) targetless(e *entry, address netip.Addr) bool {
	if c.targets == nil {
		return false
	}
	names := e.served.hostnames
	if slices.Contains(e.served.addresses, address) {
		names = []string{address.String()}
	}
	dead := false
	for _, name := range names {
		healthy, all, known := c.targets(e.cluster, name)
		if !known {
			continue
		}
		if healthy > 0 || all == 0 {
			return false
		}
		dead = true
	}
	return dead
}

func (e *entry) observe(all []located) Observed {
	addresses, chief := combine(all, e.outcome.State)
	o := Observed{Hostnames: e.served.hostnames, Ready: e.served.ready, Reason: chief.Reason, Message: chief.Message}
	o.Cluster, o.Addresses, o.State, o.Doubtful, o.Weight = e.cluster, addresses, chief.State, chief.Doubtful, 1
	o.ProbePort = e.probePort
	if e.served.ready != nil {
		o.Weight = uint32(max(0, *e.served.ready))
		o.Starting = max(0, e.served.wanted-*e.served.ready)
	}
	for _, p := range e.served.ports {
		o.Ports = append(o.Ports, dns.Port{Name: p.name, Protocol: p.protocol, Number: p.number})
	}
	switch {
	case len(all) > 0:
	case len(e.served.hostnames) > 0:
		o.State, o.Reason, o.Message = dns.Unknown, ReasonUnresolved, "its host names resolve to no address"
	default:
		o.State, o.Reason, o.Message = dns.Unhealthy, ReasonNoAddress, "the cluster has given it no address yet"
	}
	return o
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// rejudge looks at an entry whose state changes with time alone.
func (c *Collector) rejudge(e *entry) {
	var changes news
	c.mu.Lock()
	if c.entries[e.key][e.cluster] == e {
		changes.add(e.key, c.evaluate(e, time.Now()))
	}
	c.mu.Unlock()
	c.publish(changes)
}
