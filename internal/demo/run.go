package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/metering"
	"github.com/pawlrun/pawl/provider"
)

// run is one start of the demo. It belongs to one goroutine.
type run struct {
	session  *cli.Session
	flags    *flags
	space    *workspace
	tree     string
	packages []string
	pace     time.Duration

	began    time.Time
	store    provider.Provider // not counted, for what is only looked at
	app      *pawl.App
	fleet    *fleet
	effects  *effectLog // of the demo itself
	reader   *effectReader
	ledger   *ledger
	progress *progress

	victim  *worker // being killed
	kills   int     // in this start
	told    bool    // that the work of the killed worker was taken over
	crashes int     // workers in a row that ended right after their start
}

const (
	tick        = 50 * time.Millisecond
	killAfter   = 0.30 // of the packages
	parkedTicks = 40
	maxKills    = 5 // tries to catch a worker with work in its hands
)

// outcome is the end of the root instance.
type outcome struct {
	report Report
	err    error
}

func (r *run) run(ctx context.Context) (err error) {
	r.began = time.Now()
	if err := r.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	handle, err := r.start(ctx)
	if err != nil {
		return err
	}
	r.announce()
	for range r.flags.workers {
		if _, err := r.fleet.add(); err != nil {
			return errors.Join(err, r.fleet.stop(ctx))
		}
	}
	ended := make(chan outcome, 1)
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		report, err := handle.Result(waiting)
		ended <- outcome{report, err}
	}()
	end, err := r.watch(ctx, ended)
	err = errors.Join(err, r.fleet.stop(r.session.Hard(ctx)), r.follow())
	r.progress.end()
	switch {
	case ctx.Err() != nil:
		return &cli.Error{Code: cli.ExitInterrupted, Err: fmt.Errorf("stopped with %d of %d packages done; the same command goes on from there", len(r.ledger.done), len(r.packages))}
	case err != nil:
		return err
	case end.err != nil:
		return errors.Join(&cli.Error{Code: cli.ExitFailed, Err: end.err}, r.space.finish(true))
	}
	return r.conclude(ctx, end.report)
}

// open opens the store, the effect log and what else the demo itself needs.
func (r *run) open(ctx context.Context) (err error) {
	if r.store, err = r.session.Open(ctx, r.space.storeURL); err != nil {
		return err
	}
	me := fmt.Sprintf("demo-%d", os.Getpid())
	if r.effects, err = openEffectLog(r.space.effects(), me); err != nil {
		return errors.Join(err, r.store.Close())
	}
	if r.reader, err = followEffectLog(r.space.effects()); err != nil {
		return errors.Join(err, r.effects.close(), r.store.Close())
	}
	metered, err := metering.Wrap(unclosed(r.store), meterPath(r.space.dir, me))
	if err == nil {
		r.app = pawl.New(metered, &pawl.Options{Logger: r.session.Logger()})
		r.fleet, err = newFleet(r.space, r.flags.activities, r.pace)
	}
	if err == nil {
		err = r.effects.write(effectDemo, "", "", r.tree)
	}
	if err == nil {
		err = r.follow()
	}
	if err != nil {
		return errors.Join(err, r.close(ctx))
	}
	r.progress = newProgress(r.session.Stderr(), len(r.packages), len(r.ledger.done))
	return nil
}

// close is the reverse of open.
func (r *run) close(ctx context.Context) error {
	var errs []error
	if r.app != nil {
		stopping, cancel := context.WithTimeout(r.session.Hard(ctx), stopLimit)
		defer cancel()
		errs = append(errs, r.app.Stop(stopping))
	}
	return errors.Join(append(errs, r.reader.close(), r.effects.close(), r.store.Close())...)
}

// start starts the root instance, or finds the one an earlier start of the demo has left.
func (r *run) start(ctx context.Context) (*pawl.Run[Report], error) {
	bounded, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := r.app.Start(bounded); err != nil {
		return nil, err
	}
	id := r.space.current.Instance
	handle, err := pawl.StartByName[Report](bounded, r.app, censusName, Tree{Dir: r.tree}, &pawl.StartOptions{InstanceID: id})
	if errors.Is(err, pawl.ErrAlreadyExists) {
		return pawl.Attach[Report](r.app, id)
	}
	return handle, err
}

// announce says what is going to happen.
func (r *run) announce() {
	p := r.progress
	p.say("Census of %s: %s, %s with %s each, on %s", r.tree, packages(len(r.packages)), processes(r.flags.workers), activities(r.flags.activities), cli.StoreName(r.space.storeURL))
	if r.space.resumed {
		p.say("Going on with the run that began at %s: %d of them are done.", r.space.current.Started.Local().Format("15:04:05"), len(r.ledger.done))
	}
	if r.pace > 0 && !r.flags.paceGiven {
		p.say("The tree is small: each activity is made to last %v, so that there is something to kill (--pace 0: it is not).", r.pace)
	}
}

// follow reads what is new in the effect log.
func (r *run) follow() error { return r.reader.next(r.ledger.take) }

// watch looks after the workers until the root instance ends or ctx does.
func (r *run) watch(ctx context.Context, ended <-chan outcome) (outcome, error) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return outcome{}, nil
		case end := <-ended:
			return end, nil
		case w := <-r.fleet.exits:
			if ctx.Err() != nil {
				return outcome{}, nil
			}
			if err := r.replace(w); err != nil {
				return outcome{}, err
			}
			continue
		case <-ticker.C:
		}
		if err := r.follow(); err != nil {
			return outcome{}, err
		}
		r.tellTakeover()
		r.progress.show(len(r.ledger.done), len(r.fleet.workers))
		if err := r.maybeKill(); err != nil {
			return outcome{}, err
		}
		if n%parkedTicks == 0 {
			if err := r.lookForParked(ctx); err != nil {
				return outcome{}, err
			}
		}
	}
}

// maybeKill kills the busiest worker once enough is done for it to hurt.
func (r *run) maybeKill() error {
	if r.flags.noKill || r.victim != nil || r.kills == maxKills || r.caught() || !r.enoughDone() {
		return nil
	}
	most := 0
	for _, w := range r.fleet.workers {
		if n := r.ledger.running(w.name); n > most {
			most, r.victim = n, w
		}
	}
	if r.victim == nil {
		return nil
	}
	r.kills++
	// The line comes first: what anybody takes over after it, they take from a dead worker.
	if err := r.effects.writeFor(r.victim.name, effectKill, "", "", "by "+r.effects.worker); err != nil {
		return err
	}
	if err := r.victim.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill of %s: %w", r.victim.name, err)
	}
	return nil
}

// enoughDone reports whether a kill would hurt. On a tree so small that all of it is counted at once, and ends at once,
// any time is as good once that has begun.
func (r *run) enoughDone() bool {
	if len(r.packages) <= r.flags.workers*r.flags.activities {
		return r.ledger.counting()
	}
	return float64(len(r.ledger.done)) >= killAfter*float64(len(r.packages))
}

// tellTakeover says when another worker has begun what the killed one held.
func (r *run) tellTakeover() {
	if r.told || r.kills == 0 || len(r.ledger.kills) == 0 {
		return
	}
	if t := r.ledger.takeoverOf(r.ledger.kills[len(r.ledger.kills)-1]); t.repeated > 0 {
		r.told = true
		r.progress.say("Taken over: %.1f s after the kill another worker began what the killed one had in its hands.", t.first.Seconds())
	}
}

// caught reports whether a worker has died with work in its hands.
func (r *run) caught() bool {
	for _, k := range r.ledger.kills {
		if len(r.ledger.held(k.worker)) > 0 {
			return true
		}
	}
	return false
}

// replace starts another worker for one that has ended.
func (r *run) replace(w *worker) error {
	r.fleet.remove(w)
	if err := r.follow(); err != nil {
		return err
	}
	if w == r.victim {
		r.victim = nil
		r.progress.say("Killed %s with SIGKILL at %d of %d packages while it ran %s. A replacement starts.", w.name, r.ledger.kills[len(r.ledger.kills)-1].done, len(r.packages), activities(r.ledger.running(w.name)))
	} else {
		const atOnce = 3 * time.Second
		if r.crashes++; time.Since(w.started) > atOnce {
			r.crashes = 0
		}
		if r.crashes >= 3 {
			return fmt.Errorf("workers end as soon as they begin (%v): %s", w.err, r.lastWords())
		}
		r.progress.say("Worker %s has ended (%v). A replacement starts.", w.name, w.err)
	}
	_, err := r.fleet.add()
	return err
}

// lastWords is the last line of the workers' standard error.
func (r *run) lastWords() string {
	data, err := os.ReadFile(r.space.workerLog())
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(lines[len(lines)-1])
}

// lookForParked ends the wait for something that will not come.
func (r *run) lookForParked(ctx context.Context) error {
	states, err := r.store.ListInstances(ctx, provider.ListQuery{ParkedOnly: true, Prefix: r.space.current.Instance, Limit: 1})
	if err != nil || len(states) == 0 {
		return nil // a store that is out of reach comes back, or shows otherwise
	}
	return fmt.Errorf("instance %q is parked: %s; start with --fresh to begin anew", states[0].InstanceID, states[0].Parked)
}

// unclosedStore is a store whose Close does nothing.
type unclosedStore struct{ provider.Provider }

// Close implements provider.Provider.
func (unclosedStore) Close() error { return nil }

// unclosed lets a wrapper be closed apart from its store.
func unclosed(store provider.Provider) provider.Provider {
	if n, ok := store.(provider.Notifier); ok {
		return struct {
			unclosedStore
			provider.Notifier
		}{unclosedStore{store}, n}
	}
	return unclosedStore{store}
}
