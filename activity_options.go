package pawl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/pawlrun/pawl/history"
)

// ActivityOptions say how an activity is run. The zero value of each field is its default. They are recorded when the
// activity is scheduled: instances that have scheduled it keep what they have.
type ActivityOptions struct {
	// Retry has the activity tried again when it fails. Default: its first failure is its outcome. Attempts that end
	// without an outcome, because their process died, are repeated in any case, see Options.MaxAttempts.
	Retry *RetryPolicy
	// ScheduleToStart bounds the time until the activity is begun for the first time: until a worker has a place for it.
	// Default: no limit.
	ScheduleToStart time.Duration
	// StartToClose bounds one attempt. Default: Options.ActivityTimeout of the worker that runs it.
	StartToClose time.Duration
	// ScheduleToClose bounds the whole: waiting, all attempts, the delays between them, and the time until a result comes
	// from outside (ErrResultPending). Default: no limit.
	ScheduleToClose time.Duration
	// Heartbeat bounds the time between two calls of Heartbeat, and until the first. Default: none are expected.
	Heartbeat time.Duration
	// Tag has the activity run only by workers that have the tag in Options.Tags. Default: by workers of any tag.
	Tag string
	// Priority of the activity among those that wait for a worker. Default: that of the instance.
	Priority Priority
	// Session has the activity run in the process of the session. Its retries run there, too; when the process has ended
	// the activity fails with ErrSessionLost. Default: wherever there is room.
	Session *Session
}

// RetryPolicy says whether and when a failed activity is tried again. The zero value of each field is its default. The
// delay before the next try is InitialDelay after the first, and Coefficient times the one before it after each other; an
// error made by RetryAfter chooses its own. The try is queued in the store for that time: it costs no goroutine, and
// whoever is free then makes it.
//
// Not tried again, whatever the policy says: what NonRetryable has marked, an input or result that cannot be encoded or
// decoded or is over a limit, and what has passed its ScheduleToStart or ScheduleToClose. A panic is a failure like others.
type RetryPolicy struct {
	// MaxAttempts is how many tries there are, the first one included. Those that a crash has cut short are no tries: they
	// count for Options.MaxAttempts. Default: no limit, until one succeeds, is not to be repeated, or time is up.
	MaxAttempts int
	// InitialDelay is the delay before the second try. Default: 1 s.
	InitialDelay time.Duration
	// Coefficient is what the delay is multiplied by from try to try; at least 1. Default: 2.
	Coefficient float64
	// MaxDelay bounds a delay. Default: 1 min, or InitialDelay if that is longer.
	MaxDelay time.Duration
	// Jitter is the part of each delay that is left to chance, from 0 to 1: with 0.2 it is between 80 and 100 % of what it
	// would be. It keeps what has failed together from coming back together. Default: 0.
	Jitter float64
	// MaxElapsed is the time since the activity was scheduled after which no try begins; one that is under way then goes
	// on. Default: no limit.
	MaxElapsed time.Duration
	// NonRetryable are errors that are not tried again: failures that match one of them with errors.Is. They must be
	// ErrorKinds, or errors of this package or of package context that Failure matches, like ErrPanic or ErrTimeout.
	NonRetryable []error
}

// The defaults of a RetryPolicy.
const (
	defaultInitialDelay = time.Second
	defaultCoefficient  = 2
	defaultMaxDelay     = time.Minute
)

// recordOptions returns the recorded form of options of an activity that a Context schedules, nil if all are the default, or what is wrong with them.
func recordOptions(by *Context, options []ActivityOptions) (*history.ActivityOptions, error) {
	if len(options) == 0 {
		return nil, nil
	}
	var o ActivityOptions
	for i := range options {
		o.merge(&options[i])
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o == (ActivityOptions{}) {
		return nil, nil
	}
	var session *history.Session
	if o.Session != nil {
		if err := o.Session.usable(by); err != nil {
			return nil, err
		}
		session = &o.Session.bound
		setDefault(&o.Tag, o.Session.tag)
	}
	recorded := &history.ActivityOptions{Tag: o.Tag, ScheduleToStart: o.ScheduleToStart, StartToClose: o.StartToClose,
		ScheduleToClose: o.ScheduleToClose, Heartbeat: o.Heartbeat, Priority: history.Priority(o.Priority), Session: session}
	if o.Retry != nil {
		policy, err := o.Retry.record()
		if err != nil {
			return nil, err
		}
		recorded.Retry = policy
	}
	return recorded, nil
}

// merge takes over the fields that later sets.
func (o *ActivityOptions) merge(later *ActivityOptions) {
	if later.Retry != nil {
		o.Retry = later.Retry
	}
	for _, f := range []struct{ field, value *time.Duration }{{&o.ScheduleToStart, &later.ScheduleToStart}, {&o.StartToClose, &later.StartToClose},
		{&o.ScheduleToClose, &later.ScheduleToClose}, {&o.Heartbeat, &later.Heartbeat}} {
		if *f.value != 0 {
			*f.field = *f.value
		}
	}
	if later.Tag != "" {
		o.Tag = later.Tag
	}
	if later.Priority != "" {
		o.Priority = later.Priority
	}
	if later.Session != nil {
		o.Session = later.Session
	}
}

// check returns all that is wrong with the options but for the retry policy.
func (o *ActivityOptions) check() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"ScheduleToStart", o.ScheduleToStart}, {"StartToClose", o.StartToClose}, {"ScheduleToClose", o.ScheduleToClose}, {"Heartbeat", o.Heartbeat}} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%w: ActivityOptions.%s is %v, it must not be negative", ErrInvalid, f.name, f.value))
		}
	}
	if o.Tag != "" {
		errs = append(errs, checkName("ActivityOptions.Tag", o.Tag))
	}
	if _, err := o.Priority.recorded("ActivityOptions.Priority"); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// record returns the policy with its defaults filled in, or all that is wrong with it.
func (p RetryPolicy) record() (*history.RetryPolicy, error) {
	var errs []error
	invalid := func(field string, value any, rule string) {
		errs = append(errs, fmt.Errorf("%w: RetryPolicy.%s is %v, it must %s", ErrInvalid, field, value, rule))
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"InitialDelay", p.InitialDelay}, {"MaxDelay", p.MaxDelay}, {"MaxElapsed", p.MaxElapsed}} {
		if f.value < 0 {
			invalid(f.name, f.value, "not be negative")
		}
	}
	if p.MaxAttempts < 0 || p.MaxAttempts > math.MaxInt32 {
		invalid("MaxAttempts", p.MaxAttempts, fmt.Sprintf("be from 0 to %d", math.MaxInt32))
	}
	setDefault(&p.InitialDelay, defaultInitialDelay)
	setDefault(&p.Coefficient, defaultCoefficient)
	setDefault(&p.MaxDelay, max(defaultMaxDelay, p.InitialDelay))
	if !(p.Coefficient >= 1) || math.IsInf(p.Coefficient, 1) {
		invalid("Coefficient", p.Coefficient, "be at least 1 and finite")
	}
	if p.MaxDelay > 0 && p.MaxDelay < p.InitialDelay {
		invalid("MaxDelay", p.MaxDelay, fmt.Sprintf("not be less than InitialDelay (%v)", p.InitialDelay))
	}
	if !(p.Jitter >= 0 && p.Jitter <= 1) {
		invalid("Jitter", p.Jitter, "be from 0 to 1")
	}
	var codes []string
	for i, err := range p.NonRetryable {
		code := codesOf(err)
		if code == nil {
			invalid(fmt.Sprintf("NonRetryable[%d]", i), fmt.Sprintf("%T (%v)", err, err), "be an ErrorKind or one of the errors that a Failure matches")
		}
		codes = append(codes, code...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &history.RetryPolicy{MaxAttempts: int32(p.MaxAttempts), InitialDelay: p.InitialDelay, Coefficient: p.Coefficient,
		MaxDelay: p.MaxDelay, Jitter: p.Jitter, MaxElapsed: p.MaxElapsed, NonRetryable: codes}, nil
}

// codesOf returns the codes of the failures that match an error, nil if failures do not match it. The engine takes "pawl:"
// and a kind for that kind.
func codesOf(err error) []string {
	if kind, ok := err.(ErrorKind); ok && kind != "" {
		return []string{codeOf(kind)}
	}
	for _, known := range wellKnown {
		switch {
		case err != known.err:
		case err == context.Canceled: // a cancellation matches it too
			return []string{known.code, codesOf(ErrCancelled)[0]}
		default:
			return []string{known.code}
		}
	}
	return nil
}
