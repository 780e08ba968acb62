// Package awstest is an AWS of one account, for tests and for the simulated cloud of the playground: an http.Handler that speaks the
// wire protocols of EKS, STS, EC2, Elastic Load Balancing v2 and the price list, and whose state is set by methods while it runs. It
// is as strict as AWS says it is: signatures are computed again, unknown parameters are refused, answers come in pages, and errors
// have the bodies that AWS gives them. It offers what this project asks for, and nothing that writes.
package awstest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Account is the number of the account.
const Account = "123456789012"

// Cloud is the account. All methods are safe for concurrent use.
type Cloud struct {
	mu      sync.Mutex
	now     func() time.Time
	page    int
	serial  int
	keys    map[string]Key
	roles   map[string]string
	faults  []*Fault
	healed  chan struct{}
	calls   map[string]int
	regions map[string]*region
}

// region is what is in a region.
type region struct {
	clusters  map[string]Cluster
	zones     map[string]Zone
	machines  map[string]Machine
	spot      map[spotKey]spotPrice
	balancers map[string]Balancer
	egress    float64
}

// Key is as whom a request may be made.
type Key struct {
	ID, Secret string
	// Token of a session; empty for a user's own key.
	Token string
	// ARN of the user or role.
	ARN string
}

// New is an account without anything in it. Answers hold at most 100 items.
func New() *Cloud {
	return &Cloud{now: time.Now, page: 100, keys: map[string]Key{}, roles: map[string]string{}, healed: make(chan struct{}), calls: map[string]int{}, regions: map[string]*region{}}
}

// SetClock makes another clock the account's.
func (c *Cloud) SetClock(now func() time.Time) { c.set(func() { c.now = now }) }

// SetPage is how many items come at most in one answer.
func (c *Cloud) SetPage(items int) { c.set(func() { c.page = items }) }

// SetKey adds or replaces a key.
func (c *Cloud) SetKey(k Key) { c.set(func() { c.keys[k.ID] = k }) }

// RevokeKey takes a key away: AWS does not know it any more.
func (c *Cloud) RevokeKey(id string) { c.set(func() { delete(c.keys, id) }) }

// SetRole lets a role be assumed: with a web identity token, or, where token is empty, by every key of the account.
func (c *Cloud) SetRole(arn, token string) { c.set(func() { c.roles[arn] = token }) }

// Calls is how often an operation, such as "eks:ListClusters", was asked for.
func (c *Cloud) Calls(operation string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[operation]
}

// Operations are those that were asked for, in order.
func (c *Cloud) Operations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.calls))
}

func (c *Cloud) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// in is the region, made if there is none; the account is locked.
func (c *Cloud) in(name string) *region {
	if c.regions[name] == nil {
		c.regions[name] = &region{clusters: map[string]Cluster{}, zones: map[string]Zone{}, machines: map[string]Machine{},
			spot: map[spotKey]spotPrice{}, balancers: map[string]Balancer{}}
	}
	return c.regions[name]
}

// paged is a page of items that begins where a token says, and the token of the next. Tokens are the account's own words: opaque.
func paged[T any](c *Cloud, q *request, items []T, token string, asked int) ([]T, string, *refusal) {
	from := 0
	if token != "" {
		if _, err := fmt.Sscanf(token, q.operation+"-%d", &from); err != nil || from > len(items) {
			return nil, "", &refusal{400, "InvalidParameterException", "The specified pagination token is invalid."}
		}
	}
	size := c.page
	if asked > 0 {
		size = min(size, asked)
	}
	to := min(len(items), from+size)
	if q.stuck && len(items) > 0 {
		return items[from:to], q.operation + "-" + strconv.Itoa(0), nil
	}
	if to == len(items) {
		return items[from:to], "", nil
	}
	return items[from:to], q.operation + "-" + strconv.Itoa(to), nil
}
