// Package metering counts the calls a process makes to its store, in a file that survives the process.
//
// A call is one round trip; one that writes is at most one commit. The counters of a file are written in place as they
// change, so that those of a process that was killed can still be read. Wrap counts, Read reads.
package metering

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/pawlrun/pawl/provider"
)

// operation is the position of a counter in the file.
type operation int

const (
	opRegister operation = iota
	opStart
	opEnqueue
	opFetch
	opAck
	opFetchWork
	opAckWork
	opAbandon
	opPulse
	opRetire
	opResume
	opWatch
	opRead
	opHistory
	opList
	operations
)

// firstRead is the first operation that writes nothing.
const firstRead = opRead

// Counts are what one or more processes have asked of a store.
type Counts struct {
	RoundTrips int64 `json:"roundTrips"`
	Commits    int64 `json:"commits"`
	// Pulses are the periodic calls among the round trips, which idle processes make too.
	Pulses int64 `json:"pulses"`
}

// Add adds the counts of another process.
func (c *Counts) Add(other Counts) {
	c.RoundTrips += other.RoundTrips
	c.Commits += other.Commits
	c.Pulses += other.Pulses
}

// counted is a Provider that counts.
type counted struct {
	provider.Provider
	file   *os.File
	mu     sync.Mutex
	counts [operations]int64
	failed error
}

// countedNotifier is one whose store can notify.
type countedNotifier struct {
	*counted
	provider.Notifier
}

// Wrap returns the store with its calls counted in a new file. Notifications are not counted: they are not awaited. Close
// closes the file and the store.
func Wrap(store provider.Provider, path string) (provider.Provider, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	c := &counted{Provider: store, file: file}
	if n, ok := store.(provider.Notifier); ok {
		return countedNotifier{c, n}, nil
	}
	return c, nil
}

// Read returns the counts in a file. A file that was just made counts as zero.
func Read(path string) (Counts, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Counts{}, err
	}
	if len(data)%8 != 0 || len(data) > 8*int(operations) {
		return Counts{}, fmt.Errorf("%s: %d bytes are no counters", path, len(data))
	}
	var c Counts
	for op := range operations {
		if int(op)*8 >= len(data) {
			break
		}
		n := int64(binary.LittleEndian.Uint64(data[8*op:]))
		c.RoundTrips += n
		if op < firstRead {
			c.Commits += n
		}
		if op == opPulse {
			c.Pulses += n
		}
	}
	return c, nil
}

// count adds a call before it is made: a process killed in its middle has made it.
func (c *counted) count(op operation) {
	var b [8]byte
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[op]++
	binary.LittleEndian.PutUint64(b[:], uint64(c.counts[op]))
	if _, err := c.file.WriteAt(b[:], 8*int64(op)); err != nil && c.failed == nil {
		c.failed = err // told by Close: counting must not fail the call
	}
}

// RegisterClasses implements provider.Provider.
func (c *counted) RegisterClasses(ctx context.Context, classes []provider.Class) ([]provider.ClassID, error) {
	c.count(opRegister)
	return c.Provider.RegisterClasses(ctx, classes)
}

// StartOrchestrations implements provider.Provider.
func (c *counted) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	c.count(opStart)
	return c.Provider.StartOrchestrations(ctx, req)
}

// EnqueueMessages implements provider.Provider.
func (c *counted) EnqueueMessages(ctx context.Context, messages []provider.NewMessage) ([]provider.ItemStatus, error) {
	c.count(opEnqueue)
	return c.Provider.EnqueueMessages(ctx, messages)
}

// FetchOrchestrationItems implements provider.Provider.
func (c *counted) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	c.count(opFetch)
	return c.Provider.FetchOrchestrationItems(ctx, req)
}

// AckOrchestrationItems implements provider.Provider.
func (c *counted) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	c.count(opAck)
	return c.Provider.AckOrchestrationItems(ctx, req)
}

// FetchWorkItems implements provider.Provider.
func (c *counted) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	c.count(opFetchWork)
	return c.Provider.FetchWorkItems(ctx, req)
}

// AckWorkItems implements provider.Provider.
func (c *counted) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	c.count(opAckWork)
	return c.Provider.AckWorkItems(ctx, req)
}

// AbandonItems implements provider.Provider.
func (c *counted) AbandonItems(ctx context.Context, req *provider.AbandonRequest) error {
	c.count(opAbandon)
	return c.Provider.AbandonItems(ctx, req)
}

// Pulse implements provider.Provider.
func (c *counted) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	c.count(opPulse)
	return c.Provider.Pulse(ctx, req)
}

// RetireWorker implements provider.Provider.
func (c *counted) RetireWorker(ctx context.Context, worker provider.WorkerID) error {
	c.count(opRetire)
	return c.Provider.RetireWorker(ctx, worker)
}

// ResumeInstances implements provider.Provider.
func (c *counted) ResumeInstances(ctx context.Context, instanceIDs []string) ([]provider.ItemStatus, error) {
	c.count(opResume)
	return c.Provider.ResumeInstances(ctx, instanceIDs)
}

// ReadInstances implements provider.Provider.
func (c *counted) ReadInstances(ctx context.Context, instanceIDs []string, watch bool) ([]provider.InstanceState, error) {
	if watch {
		c.count(opWatch)
	} else {
		c.count(opRead)
	}
	return c.Provider.ReadInstances(ctx, instanceIDs, watch)
}

// ReadHistory implements provider.Provider.
func (c *counted) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	c.count(opHistory)
	return c.Provider.ReadHistory(ctx, q)
}

// ListInstances implements provider.Provider.
func (c *counted) ListInstances(ctx context.Context, q provider.ListQuery) ([]provider.InstanceState, error) {
	c.count(opList)
	return c.Provider.ListInstances(ctx, q)
}

// Close implements provider.Provider.
func (c *counted) Close() error {
	err := c.Provider.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(err, c.failed, c.file.Close())
}
