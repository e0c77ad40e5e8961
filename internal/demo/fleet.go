package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// worker is a worker process.
type worker struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.Closer
	started time.Time
	exited  chan struct{}
	err     error // of its end; set before exited is closed
}

// fleet is the worker processes of the demo. It belongs to one goroutine.
type fleet struct {
	flags   workerFlags
	store   string
	program string
	log     *os.File // of the workers' standard error
	workers map[string]*worker
	exits   chan *worker
	closing chan struct{} // closed when nobody reads exits any more
	started int
}

// newFleet makes a fleet without workers.
func newFleet(w *workspace, activities int, pace time.Duration) (*fleet, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(w.workerLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &fleet{flags: workerFlags{dir: w.dir, activities: activities, pace: pace}, store: w.storeURL, program: program, log: log,
		workers: map[string]*worker{}, exits: make(chan *worker), closing: make(chan struct{})}, nil
}

// add starts a worker.
func (f *fleet) add() (*worker, error) {
	f.started++
	flags := f.flags
	flags.number = f.started
	cmd := exec.Command(f.program, flags.args()...)
	cmd.Env = append(os.Environ(), "PAWL_STORE="+f.store)
	cmd.Stderr = f.log
	// The worker ends when this pipe does. A *os.File of ours, closed on exec, cannot outlive this process elsewhere.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start of a worker: %w", err)
	}
	w := &worker{name: nameOfWorker(flags.number, cmd.Process.Pid), cmd: cmd, stdin: stdin, started: time.Now(), exited: make(chan struct{})}
	f.workers[w.name] = w
	go func() {
		w.err = cmd.Wait()
		close(w.exited)
		select {
		case f.exits <- w:
		case <-f.closing:
		}
	}()
	return w, nil
}

// remove forgets a worker that has ended.
func (f *fleet) remove(w *worker) { delete(f.workers, w.name) }

// stop tells all workers to stop and waits for them; when ctx ends, or after a while, it kills those that are left.
func (f *fleet) stop(ctx context.Context) error {
	var errs []error
	keep := func(err error) {
		if err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
	}
	close(f.closing)
	for _, w := range f.workers {
		keep(w.stdin.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit+5*time.Second)
	defer cancel()
	for _, w := range f.workers {
		select {
		case <-w.exited:
		case <-ctx.Done():
			keep(w.cmd.Process.Kill())
			<-w.exited
		}
	}
	clear(f.workers)
	keep(f.log.Close())
	return errors.Join(errs...)
}
