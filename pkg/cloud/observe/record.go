package observe

import (
	"math/rand/v2"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
)

const (
	// settleAfter answers, or failures, one after the other, are what the condition CloudKnown heeds.
	settleAfter = 2
	// soon is the pause while that is not settled; failedPause is the longest after a failure.
	soon        = 5 * time.Second
	failedPause = time.Minute
)

// record is a fact with what became of the attempts to read it.
type record[T any] struct {
	cloud.Fact[T]
	fails, successes int // since the last change; one of them is 0
	// trouble is why it can't be read, once that is settled. It stays as it is while that lasts: an error's text may differ from try to try.
	trouble error
}

// read takes over how an attempt ended. A single failure is no trouble, unless the cloud said clearly that it refuses.
func (r record[T]) read(value T, err error, now time.Time) record[T] {
	r.Fact = r.Read(value, err, now)
	if err == nil {
		r.fails, r.successes = 0, min(r.successes+1, settleAfter)
		if r.successes == settleAfter {
			r.trouble = nil
		}
		return r
	}
	r.fails, r.successes = min(r.fails+1, settleAfter), 0
	switch {
	case !refusal(err) && (r.fails < settleAfter || r.trouble != nil):
	case r.trouble == nil || cloud.KindOf(r.trouble) != cloud.KindOf(err):
		r.trouble = err
	}
	return r
}

// refusal says that an error will not pass by itself.
func refusal(err error) bool {
	kind := cloud.KindOf(err)
	return kind != cloud.Throttled && kind != cloud.Unavailable
}

// pause until the next attempt, spread by a tenth.
func (r record[T]) pause(period time.Duration) time.Duration {
	switch {
	case r.fails == 1 && r.trouble == nil, r.successes == 1 && r.trouble != nil:
		period = min(period, soon)
	case r.fails > 0:
		period = min(period, failedPause)
	}
	return period*9/10 + rand.N(period/5+1)
}
