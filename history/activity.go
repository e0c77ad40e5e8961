package history

import "time"

// ActivityOptions is how an activity is to be run, where that is not the default. Durations are recorded in nanoseconds;
// zero means none, except where said otherwise.
type ActivityOptions struct {
	// Tag routes the activity to workers that serve the tag.
	Tag   string       `json:"tag,omitempty"`
	Retry *RetryPolicy `json:"retry,omitempty"`
	// ScheduleToStart bounds the time until an attempt begins for the first time.
	ScheduleToStart time.Duration `json:"scheduleToStart,omitempty"`
	// StartToClose bounds one attempt; zero is the default of the worker that runs it.
	StartToClose time.Duration `json:"startToClose,omitempty"`
	// ScheduleToClose bounds the whole, retries included.
	ScheduleToClose time.Duration `json:"scheduleToClose,omitempty"`
	// Heartbeat bounds the time between two heartbeats.
	Heartbeat time.Duration `json:"heartbeat,omitempty"`
	// Priority of the activity; "" is that of the instance.
	Priority Priority `json:"priority,omitempty"`
	// Session binds the activity to a worker.
	Session *Session `json:"session,omitempty"`
}

// Session is where the activities of a session run.
type Session struct {
	Worker int64  `json:"worker,string"`
	ID     string `json:"id"` // unique in the store
}

// RetryPolicy says whether and when a failed activity is tried again.
type RetryPolicy struct {
	// MaxAttempts counts the first one too; zero is without limit.
	MaxAttempts  int32         `json:"maxAttempts,omitempty"`
	InitialDelay time.Duration `json:"initialDelay,omitempty"`
	Coefficient  float64       `json:"coefficient,omitempty"`
	MaxDelay     time.Duration `json:"maxDelay,omitempty"`
	// Jitter is the part of a delay, from 0 to 1, that is left to chance.
	Jitter float64 `json:"jitter,omitempty"`
	// MaxElapsed bounds the time since the activity was scheduled after which no new attempt begins.
	MaxElapsed time.Duration `json:"maxElapsed,omitempty"`
	// NonRetryable are the codes and kinds of failures that end it.
	NonRetryable []string `json:"nonRetryable,omitempty"`
}
