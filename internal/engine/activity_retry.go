package engine

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pawlrun/pawl/history"
)

// retry decides whether an activity is tried again after its try number tries has ended with f at the given time of the
// store's clock, and after which delay. chance, from 0 to 1, is what the jitter draws.
func (t *terms) retry(f *history.Failure, tries int32, now time.Time, chance float64) (delay time.Duration, again bool) {
	if t == nil || t.Retry == nil || final(f) {
		return 0, false
	}
	p := t.Retry
	forbidden, chosen := f.RetryAdvice()
	if forbidden || p.MaxAttempts > 0 && tries >= p.MaxAttempts || lists(p.NonRetryable, f) {
		return 0, false
	}
	switch {
	case chosen == 0:
		delay = delayOf(p, tries, chance)
	case chosen > time.Microsecond: // less is how an error says "at once"
		delay = chosen
	}
	next := now.Add(delay)
	if p.MaxElapsed > 0 && next.After(t.scheduledAt.Add(p.MaxElapsed)) {
		return 0, false
	}
	if t.ScheduleToClose > 0 && !next.Before(t.scheduledAt.Add(t.ScheduleToClose)) {
		return 0, false
	}
	return delay, true
}

// final reports whether a failure is one that no other attempt can change, whatever the policy.
func final(f *history.Failure) bool {
	switch f.Kind {
	case history.FailureBadPayload, history.FailureMisuse, history.FailureQuarantined, history.FailureLimit,
		history.FailureSessionLost:
		return true
	case history.FailureTimeout:
		return f.Timeout == history.TimeoutScheduleToClose || f.Timeout == history.TimeoutScheduleToStart
	}
	return false
}

// lists reports whether a policy names a failure, or what caused it: by its code, or by "pawl:" and its kind.
func lists(names []string, f *history.Failure) bool {
	if len(names) == 0 {
		return false
	}
	for level := range f.All() {
		if level.Code != "" && slices.Contains(names, level.Code) || slices.Contains(names, "pawl:"+string(level.Kind)) {
			return true
		}
	}
	return false
}

// delayOf is the delay of a policy after its try number tries.
func delayOf(p *history.RetryPolicy, tries int32, chance float64) time.Duration {
	delay := float64(p.InitialDelay) * math.Pow(max(p.Coefficient, 1), float64(max(tries, 1)-1))
	if p.MaxDelay > 0 {
		delay = min(delay, float64(p.MaxDelay))
	}
	delay *= 1 - min(max(p.Jitter, 0), 1)*chance
	if !(delay < math.MaxInt64) {
		return math.MaxInt64
	}
	return time.Duration(delay)
}

// tooLate returns the failure of an activity that must not be begun any more by an attempt that was claimed at the given
// time of the store's clock, nil if it may.
func (t *terms) tooLate(name string, attempt int32, left *legacy, now time.Time) *history.Failure {
	if t == nil {
		return nil
	}
	passed := func(limit time.Duration) bool { return limit > 0 && !now.Before(t.scheduledAt.Add(limit)) }
	switch {
	case passed(t.ScheduleToClose):
		return timeoutFailure(name, history.TimeoutScheduleToClose, left.Failure)
	case attempt == 1 && passed(t.ScheduleToStart):
		return timeoutFailure(name, history.TimeoutScheduleToStart, nil)
	case left.Failure != nil && t.Retry != nil && passed(t.Retry.MaxElapsed):
		return left.Failure
	}
	return nil
}

// timeoutFailure is the failure of an activity whose time limit has passed.
func timeoutFailure(name, bound string, cause *history.Failure) *history.Failure {
	return &history.Failure{Kind: history.FailureTimeout, Timeout: bound, Source: name,
		Message: fmt.Sprintf("the %s timeout has passed", bound), Cause: cause}
}
