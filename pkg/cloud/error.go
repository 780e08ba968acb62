package cloud

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind is what a cloud's error means to the one who called.
type ErrorKind string

// Kinds of errors.
const (
	// NotFound: there is no such thing.
	NotFound ErrorKind = "NotFound"
	// Denied: the credentials are missing, wrong, or lack a permission.
	Denied ErrorKind = "Denied"
	// Throttled: too many calls; try again later.
	Throttled ErrorKind = "Throttled"
	// Invalid: the call can never succeed.
	Invalid ErrorKind = "Invalid"
	// Unavailable: no answer, or one that says so.
	Unavailable ErrorKind = "Unavailable"
)

// Error is a cloud's error, classified once. It holds no secret.
type Error struct {
	Kind ErrorKind
	// Operation is what was asked, such as "eks:DescribeCluster prod-a in us-east-1".
	Operation string
	// Advice says what to do, empty where nothing helps but waiting.
	Advice string
	Err    error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.Operation, e.Kind)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of an error; Unavailable for one that nobody classified.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unavailable
}

// Partial is an error beside an answer that has less in it, or is less certain, than it should be: the answer is what is known all
// the same, such as prices of a snapshot.
type Partial struct{ Err error }

func (p *Partial) Error() string { return p.Err.Error() }

func (p *Partial) Unwrap() error { return p.Err }

// IsPartial says that what came beside an error is to be used.
func IsPartial(err error) bool {
	_, ok := errors.AsType[*Partial](err)
	return ok
}

// Fact is something a cloud said, and when. A later failure leaves the value and sets Err: it is old then, not gone.
type Fact[T any] struct {
	Value T
	// At is when Value was read; zero for never.
	At time.Time
	// Err is why it could not be read since; nil where it could.
	Err error
}

// Known says whether there is a value that is not older than a limit.
func (f Fact[T]) Known(now time.Time, limit time.Duration) bool {
	return !f.At.IsZero() && now.Sub(f.At) <= limit
}

// Read takes over a new answer. One that is Partial does not make the fact younger.
func (f Fact[T]) Read(value T, err error, now time.Time) Fact[T] {
	if IsPartial(err) {
		f.Value = value
	}
	if err != nil {
		f.Err = err
		return f
	}
	return Fact[T]{Value: value, At: now}
}
