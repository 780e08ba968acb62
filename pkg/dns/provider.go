package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Provider reads and writes zones. All methods are safe for concurrent use. Errors are *Error, classified once, here.
type Provider interface {
	// Zones lists the zones that the provider may change.
	Zones(ctx context.Context) ([]Zone, error)
	// Records reads all record sets of a zone but its SOA and the NS at its apex, in canonical form: all of them or an error.
	Records(ctx context.Context, zone string) (Snapshot, error)
	// Apply makes changes, each as a whole or not at all; one that fails does not stop the others. A change is made only
	// if each set it names is as its Before says; a set that is not in Before must not exist. A change whose After is there already counts
	// as made, so a call may be repeated. All are fenced: if the zone has seen a higher epoch of the federation nothing is changed and the
	// error is of kind Fenced. What was applied is in what Records returns after.
	Apply(ctx context.Context, zone string, fence Fence, changes []Change) (Receipt, error)
}

// Waiter is a Provider that knows when clients see a change.
type Waiter interface {
	// Await returns when every server of the zone answers with the receipt's version or a later one, or with the
	// context's error and which servers do not.
	Await(ctx context.Context, zone string, r Receipt) error
}

// Noter is a Provider that knows of more than whether its zones can be read and changed.
type Noter interface {
	// Note says what of a zone is not as it should be although it holds what was written, and what to do; empty for nothing.
	Note(zone string) string
}

// Zone is a zone and what its provider can do there.
type Zone struct {
	// Name is absolute, in lower case.
	Name   string
	Limits Limits
}

// Limits are a provider's. Zero means none.
type Limits struct {
	// Routing: sets with a SetID are understood; those of policy Weighted only where OnlyWeighted says so.
	Routing, OnlyWeighted bool
	// Spread: sets of policy All are understood too, each with one address: of these the provider answers with some.
	Spread bool
	// Region, where there is one, is the provider's own region for an endpoint's cloud and region, empty if it has none for it: then
	// sets of policy Nearest are one for each of these.
	Region func(provider, region string) string
	// LoadBalancer, where there is one, is the zone of a load balancer's host name that a set may be an alias of; empty for others.
	LoadBalancer func(host string) string
	// HealthChecks, where there is one, says whether the provider can ask an address whether it answers: then sets may have a Health, and
	// those of policy Ordered are two, the second one a backup.
	HealthChecks func(netip.Addr) bool
	// MaxWeight is the greatest weight of a set.
	MaxWeight uint32
	// Sparse: each record that is written counts, so a change names only the sets that differ, and an ownership record
	// outlasts changes of the data beside it.
	Sparse bool
	// MaxChanges is the number of records, removed or added, in one call; MaxBytes the octets of their data.
	MaxChanges, MaxBytes int
	// MinTTL is in seconds.
	MinTTL uint32
}

// Routes says whether the provider chooses among sets by a policy. Where it does not, one plain set holds all.
func (l Limits) Routes(p Policy) bool {
	switch p {
	case Weighted:
		return l.Routing
	case Nearest:
		return l.Routing && (!l.OnlyWeighted || l.Region != nil)
	case All:
		return l.Routing && l.Spread
	case Ordered:
		return l.Routing && l.HealthChecks != nil
	}
	return false
}

// Snapshot is a zone's content at one time.
type Snapshot struct {
	// Version grows with each change; empty where a provider has none.
	Version string
	Sets    []RecordSet
}

// Change is everything that happens at one name and its ownership record: the unit of atomicity.
type Change struct {
	// Name is the owned name.
	Name string
	// Before are the sets that are replaced, exactly as they were read; After are those that stand in their place.
	Before, After []RecordSet
}

// Fence keeps out a writer of a federation that has lost its lease. Each federation has a lease of its own in a zone: two that write
// to one zone are kept apart by the ownership of names, and their epochs have nothing to do with each other.
type Fence struct {
	// Federation is its name, a DNS label.
	Federation string
	Holder     string
	// Epoch grows with each new holder; from 1.
	Epoch int64
}

// Receipt is proof of an Apply.
type Receipt struct {
	// Version is the zone's after it.
	Version string
	// Failed are the changes that were not made.
	Failed []Failure
}

// Failure is one change that was not made.
type Failure struct {
	Change Change
	Err    error
}

// ErrorKind is what an error means to the one who called.
type ErrorKind string

const (
	// Conflict: a set is not as Before says; read again.
	Conflict ErrorKind = "Conflict"
	// Fenced: a writer with a higher epoch has taken over; stop writing.
	Fenced ErrorKind = "Fenced"
	// Invalid: this change can never be made.
	Invalid ErrorKind = "Invalid"
	// NotFound: there is no such zone.
	NotFound ErrorKind = "NotFound"
	// Throttled: try again after Error.RetryAfter.
	Throttled ErrorKind = "Throttled"
	// Denied: the credentials do not allow it.
	Denied ErrorKind = "Denied"
	// Unavailable: no answer, or one that says so; try again. What was asked may have happened.
	Unavailable ErrorKind = "Unavailable"
)

// Error is a provider's error.
type Error struct {
	Kind ErrorKind
	// Subject is the zone or name that it is about.
	Subject string
	// RetryAfter is known for some Throttled.
	RetryAfter time.Duration
	Err        error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Subject, e.Kind)
	}
	return fmt.Sprintf("%s: %s: %v", e.Subject, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of an error; Unavailable for one that no provider classified.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unavailable
}
