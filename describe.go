package pawl

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/provider"
)

// Instance describes an instance.
type Instance struct {
	InstanceID  string
	Name        string // of the orchestration
	Version     string // of the orchestration, "" if it has none
	Priority    Priority
	Status      string // running, completed, failed, cancelled, terminated
	Execution   int
	ExecutionID string
	ParentID    string // instance id of the parent, "" for a root
	Events      int    // recorded in the current execution
	CreatedAt   time.Time
	EndedAt     time.Time // zero while running
	// Parked is why nobody runs the instance: a JSON document with reason, event, expected, actual and source.
	// Empty unless parked; Resume ends it.
	Parked string
	// Capable: this process is a worker that would run the instance.
	Capable bool
	// Workers is how many live workers, in all processes, would run the instance. While there is none it is not lost: it rests
	// until one is started that has its name and version registered. A worker that dies is counted for up to Options.TTL more.
	// -1 once the instance has ended, and in lists.
	Workers int
	// Unserved are activities that are queued for the instance and that no live worker runs, in order of name and tag; at
	// most 16 are named, and none in lists. They wait, like the instance, for a worker that has them registered and, with a tag, serves that.
	Unserved []UnservedActivity
	// CustomStatus is the JSON document that the instance shows, "" if none; StatusVersion is how often it was set.
	CustomStatus  string
	StatusVersion int64
}

// UnservedActivity is an activity that no live worker runs.
type UnservedActivity struct {
	Name string
	Tag  string // "" if it has none
}

// Describe returns the committed state of an instance, or an *InstanceError with ErrNotFound.
func (a *App) Describe(ctx context.Context, instanceID string) (*Instance, error) {
	e, err := a.runningFor(instanceID)
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	st, err := e.Read(ctx, instanceID)
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	if st == nil {
		return nil, fmt.Errorf("describe: %w", &InstanceError{InstanceID: instanceID, Err: ErrNotFound})
	}
	return a.describe(e, st), nil
}

func (a *App) describe(e *engine.Engine, st *provider.InstanceState) *Instance {
	var unserved []UnservedActivity
	for _, c := range st.Unserved {
		if one := (UnservedActivity{Name: c.Name, Tag: c.Tag}); !slices.Contains(unserved, one) { // in whatever priorities
			unserved = append(unserved, one)
		}
	}
	return &Instance{InstanceID: st.InstanceID, Name: st.Name, Status: st.Status.String(), Execution: int(st.Execution),
		ExecutionID: st.ExecutionID.String(), ParentID: st.ParentID, Events: int(st.NextSeq), CreatedAt: st.CreatedAt,
		EndedAt: st.EndedAt, Parked: string(st.Parked),
		Version: st.Version, Priority: Priority(history.PriorityOf(st.Priority)), Capable: e.Runs(st.Name, st.Version), Workers: st.Workers, Unserved: unserved, CustomStatus: string(rawDocument(st.CustomStatus)), StatusVersion: st.StatusVersion}
}
