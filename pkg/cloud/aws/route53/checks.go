package route53

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"golang.org/x/time/rate"

	"kubefed.dev/kubefed/pkg/dns"
)

// question is what a health check of the federation asks: one thing of one address, or of several, of which one has to answer. They are
// divided by blanks, in order.
type question struct {
	check     dns.HealthCheck
	addresses string
}

// questionOf is the one of a set, false where it has none that could be asked.
func questionOf(s dns.RecordSet) (question, bool) {
	if s.Health.Type == "" || s.Health.Type == otherCheck {
		return question{}, false
	}
	return question{s.Health, strings.Join(s.Data, " ")}, true
}

// otherCheck is the type of a health check that is not one of the federation's as they are made here. Its Host is the ID.
const otherCheck = "other"

// checks are the health checks that belong to one zone. They are not changed: what is to be asked otherwise is another health check, which
// takes the place of the first in the same change as all else of a record set; and what no set of the zone has named for an hour is
// deleted. So a set never names a check that asks for something else, and an endpoint that comes and goes has one check.
type checks struct {
	// working is held while health checks are listed, made or deleted.
	working sync.Mutex

	mu  sync.Mutex
	ids map[question]string
	at  map[string]question
	// bare are sets that have no check although they are to have one, because there is none yet, as they are wanted.
	bare map[dns.Key]bareSet
	// waiting are checks that are to be made, in this order.
	waiting []question
	// unused are health checks of the federation that no set names, and since when.
	unused map[string]time.Time
	readAt time.Time
	// problem says why health checks are not made.
	problem string

	creating *rate.Limiter
	wake     chan struct{}
	now      func() time.Time
}

// bareSet is a set without its check, and for the sake of which check.
type bareSet struct {
	set   dns.RecordSet
	needs question
}

// What Route 53 allows an account: 50 new health checks at once, then one every 2 s.
const (
	createBurst = 50
	createEvery = 2 * time.Second
	// unusedFor is how long a health check outlives the last set that named it.
	unusedFor = time.Hour
)

func newChecks() *checks {
	return &checks{ids: map[question]string{}, at: map[string]question{}, bare: map[dns.Key]bareSet{}, unused: map[string]time.Time{},
		creating: rate.NewLimiter(rate.Every(createEvery), createBurst), wake: make(chan struct{}, 1), now: time.Now}
}

func (c *checks) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// reference begins what the federation calls its health checks of a hosted zone.
func reference(federation, zoneID string) string {
	return "kubefed/" + digest(federation+"\x00"+zoneID) + "/"
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// callerReference makes it so that a request that is repeated makes nothing new. Route 53 takes that of a deleted health check for
// some days as one that is there: so it has the hour, and the try.
func (q question) callerReference(prefix string, now time.Time, try int) string {
	ref := prefix + digest(fmt.Sprintf("%+v", q)) + "/" + strconv.FormatInt(now.Unix()/3600, 36)
	if try > 0 {
		ref += "." + strconv.Itoa(try)
	}
	return ref
}

// String shows a question to people.
func (q question) String() string {
	var asked []string
	for a := range strings.FieldsSeq(q.addresses) {
		if addr, err := netip.ParseAddr(a); err == nil {
			asked = append(asked, netip.AddrPortFrom(addr, q.check.Port).String())
		}
	}
	return strings.TrimSpace(q.check.Type+" "+strings.Join(asked, " or ")) + q.check.Path
}

// failures in a row until an address does not answer any more.
const failuresUntilDead = 3

// config is a health check of one address.
func (q question) config() *types.HealthCheckConfig {
	h := q.check
	c := &types.HealthCheckConfig{Type: types.HealthCheckType(h.Type), IPAddress: aws.String(q.addresses), Port: aws.Int32(int32(h.Port)),
		RequestInterval: aws.Int32(30), FailureThreshold: aws.Int32(failuresUntilDead)}
	if h.Fast {
		c.RequestInterval = aws.Int32(10)
	}
	if h.Type == "TCP" {
		return c
	}
	c.ResourcePath = aws.String(cmp.Or(h.Path, "/"))
	if h.Host != "" {
		c.FullyQualifiedDomainName = aws.String(h.Host)
	}
	if h.Type == "HTTPS" {
		c.EnableSNI = aws.Bool(true)
	}
	return c
}

// single reads config back, false for one that another hand changed.
func single(c *types.HealthCheckConfig) (question, bool) {
	addr, err := netip.ParseAddr(aws.ToString(c.IPAddress))
	interval := aws.ToInt32(c.RequestInterval)
	if err != nil || aws.ToBool(c.Disabled) || aws.ToBool(c.Inverted) || aws.ToString(c.SearchString) != "" || aws.ToInt32(c.FailureThreshold) != failuresUntilDead ||
		interval != 10 && interval != 30 || !slices.Contains([]types.HealthCheckType{"TCP", "HTTP", "HTTPS"}, c.Type) {
		return question{}, false
	}
	return question{dns.HealthCheck{Type: string(c.Type), Port: uint16(aws.ToInt32(c.Port)), Host: aws.ToString(c.FullyQualifiedDomainName),
		Path: aws.ToString(c.ResourcePath), Fast: interval == 10}, addr.String()}, true
}

// parts are the questions to each address, where it is several.
func (q question) parts() []question {
	all := strings.Fields(q.addresses)
	if len(all) < 2 {
		return nil
	}
	var parts []question
	for _, a := range all {
		parts = append(parts, question{q.check, a})
	}
	return parts
}

// listed takes up all health checks of the account. Those of the federation are known by their reference.
func (c *checks) listed(all []types.HealthCheck, prefix string) (children map[string]bool) {
	ids, at, ours := map[question]string{}, map[string]question{}, map[string]bool{}
	children = map[string]bool{}
	know := func(id string, q question, ok bool) {
		at[id] = q
		if ok && (ids[q] == "" || id < ids[q]) {
			ids[q] = id
		}
	}
	for _, h := range all {
		id := aws.ToString(h.Id)
		ours[id] = strings.HasPrefix(aws.ToString(h.CallerReference), prefix) && h.HealthCheckConfig != nil
		if h.HealthCheckConfig != nil {
			for _, child := range h.HealthCheckConfig.ChildHealthChecks {
				children[child] = true
			}
		}
		if ours[id] && h.HealthCheckConfig.Type != types.HealthCheckTypeCalculated {
			q, ok := single(h.HealthCheckConfig)
			know(id, q, ok)
		}
	}
	for _, h := range all {
		if id := aws.ToString(h.Id); ours[id] && h.HealthCheckConfig.Type == types.HealthCheckTypeCalculated {
			q, ok := several(h.HealthCheckConfig, at)
			know(id, q, ok)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids, c.at = ids, at
	return children
}

// several reads a health check that adds up others of the federation.
func several(c *types.HealthCheckConfig, at map[string]question) (question, bool) {
	var q question
	var addresses []string
	for _, child := range c.ChildHealthChecks {
		one, known := at[child]
		if !known || len(addresses) > 0 && one.check != q.check {
			return question{}, false
		}
		q.check, addresses = one.check, append(addresses, one.addresses)
	}
	slices.Sort(addresses)
	q.addresses = strings.Join(addresses, " ")
	return q, len(addresses) > 1 && q.check.Type != "" && aws.ToInt32(c.HealthThreshold) == 1 && !aws.ToBool(c.Inverted) && !aws.ToBool(c.Disabled)
}

// id of a question's health check, empty where there is none. It is in use from now on.
func (c *checks) id(q question) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.ids[q]
	delete(c.unused, id)
	return id
}

// read is a set with what its health check asks.
func (c *checks) read(s dns.RecordSet, id string) dns.RecordSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == "" {
		if b, bare := c.bare[s.Key()]; bare && dns.Same(s, b.physical()) {
			return b.set
		}
		return s
	}
	if q, ours := c.at[id]; ours && q.check.Type != "" && q.addresses == strings.Join(s.Data, " ") && s.Alias == (dns.Alias{}) {
		s.Health = q.check
	} else {
		s.Health = dns.HealthCheck{Type: otherCheck, Host: id}
	}
	return s
}

// written is a set of which it is known how it was written last.
func (c *checks) written(s dns.RecordSet) dns.RecordSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, bare := c.bare[s.Key()]; bare && dns.Same(s, b.set) {
		return b.physical()
	}
	return s
}

// without are those of sets that can't have their check yet, and their backups: Route 53 takes none without.
func (c *checks) without(sets []dns.RecordSet) map[dns.Key]bareSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	var bare map[dns.Key]bareSet
	note := func(s dns.RecordSet, needs question) {
		if bare == nil {
			bare = map[dns.Key]bareSet{}
		}
		bare[s.Key()] = bareSet{s, needs}
	}
	for _, s := range sets {
		q, asks := questionOf(s)
		if !asks || c.ids[q] != "" {
			continue
		}
		note(s, q)
		for _, other := range sets {
			if s.Routing.Policy == dns.Ordered && other.Routing.Policy == dns.Ordered && other.Name == s.Name && other.Type == s.Type && other.SetID != s.SetID {
				note(other, q)
			}
		}
	}
	return bare
}

// physical is the set as it is in Route 53: of two that are first and second, the one has all weight.
func (b bareSet) physical() dns.RecordSet {
	s := b.set
	s.Health = dns.HealthCheck{}
	if s.Routing.Policy == dns.Ordered {
		weight := uint32(1)
		if s.Routing.Backup {
			weight = 0
		}
		s.Routing = dns.Routing{Policy: dns.Weighted, Weight: weight}
	}
	return s
}

// made takes up a new health check.
func (c *checks) made(q question, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[q], c.at[id] = id, q
}

// want has a health check made later.
func (c *checks) want(q question) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.waiting, q) {
		c.waiting = append(c.waiting, q)
	}
	c.poke()
}

func (c *checks) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problem = ""
	if err != nil {
		c.problem = err.Error()
	}
}

// promote forgets that sets are without checks that are there by now: they are read as they are then, and written anew.
func (c *checks) promote() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, b := range c.bare {
		if c.ids[b.needs] != "" {
			delete(c.bare, key)
		}
	}
}

// settle takes up that a change was made.
func (c *checks) settle(change dns.Change, bare map[dns.Key]bareSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range change.Before {
		delete(c.bare, s.Key())
	}
	for key, b := range bare {
		c.bare[key] = b
	}
}

// used takes up which health checks the zone's sets, and other health checks, name.
func (c *checks) used(named map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readAt = c.now()
	unused := map[string]time.Time{}
	for id := range c.at {
		if named[id] {
			continue
		}
		since, before := c.unused[id]
		if !before {
			since = c.readAt
		}
		unused[id] = since
	}
	c.unused = unused
}

// garbage takes a health check that was not used for long out of what is known, so that nobody begins to use it; empty for none. The
// zone was read a moment ago: else another process may be at work.
func (c *checks) garbage() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.readAt) > unusedFor/4 {
		return ""
	}
	for id, since := range c.unused {
		if now.Sub(since) < unusedFor {
			continue
		}
		if q := c.at[id]; c.ids[q] == id {
			delete(c.ids, q)
		}
		delete(c.at, id)
		delete(c.unused, id)
		return id
	}
	return ""
}
