package sqlite_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// childPath names the file to a process that TestProcesses starts.
const childPath = "PAWL_SQLITE_TEST_PATH"

const (
	processes           = 3
	instancesPerProcess = 60
)

// TestProcesses lets several processes start and run instances on one file at the same time.
func TestProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pawl.db")
	var children [processes]*exec.Cmd
	for n := range children {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessChild$")
		c.Env = append(os.Environ(), childPath+"="+path)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		children[n] = c
	}
	for _, c := range children {
		if err := c.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	}
	p := open(t, path, nil)
	defer p.Close()
	states, err := p.ListInstances(t.Context(), provider.ListQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(states) != processes*instancesPerProcess {
		t.Errorf("%d instances", len(states))
	}
	for _, s := range states {
		if s.Status != provider.StatusCompleted || s.NextSeq != 2 {
			t.Errorf("%s is %v with %d events", s.InstanceID, s.Status, s.NextSeq)
		}
	}
}

// TestProcessChild is the body of a process that TestProcesses starts.
func TestProcessChild(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("only for TestProcesses")
	}
	p := open(t, path, nil)
	defer p.Close()
	worker := provider.NewWorkerID()
	wake := make(chan struct{}, 1)
	go func() {
		_ = p.Listen(t.Context(), worker, func(provider.Notification) {
			select {
			case wake <- struct{}{}:
			default:
			}
		})
	}()
	for n := range instancesPerProcess {
		start(t, p, fmt.Sprintf("p%d-%d", os.Getpid(), n))
		runReady(t, p, worker)
	}
	deadline := time.After(30 * time.Second)
	for runReady(t, p, worker); !allEnded(t, p); runReady(t, p, worker) {
		select {
		case <-wake:
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			t.Fatal("instances are left over")
		}
	}
}

// runReady completes what is ready.
func runReady(t *testing.T, p provider.Provider, worker provider.WorkerID) {
	for _, item := range fetch(t, p, worker) {
		result := commit(t, p, worker, &item, func(a *provider.AckItem) { a.Status = provider.StatusCompleted })
		if result.Status != provider.Applied {
			t.Errorf("%s: %v", item.InstanceID, result.Status)
		}
	}
}

func allEnded(t *testing.T, p provider.Provider) bool {
	running := provider.StatusRunning
	states, err := p.ListInstances(t.Context(), provider.ListQuery{Status: &running, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return len(states) == 0
}
