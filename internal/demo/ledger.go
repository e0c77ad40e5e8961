package demo

import (
	"fmt"
	"time"
)

// execution is one execution of an activity by a worker.
type execution struct {
	key      string
	worker   string
	counts   bool // of CountPackage, which progress is measured in
	begin    time.Time
	session  int // of the demo: how often it had been started
	ended    bool
	recorded bool
}

// workerLife is what the log tells of a worker.
type workerLife struct {
	executions []*execution
	left       time.Time // of its kill or its own end; zero while it lives, or if it died untold
	rejoined   bool      // it was declared dead once, and was not
}

// kill is one SIGKILL.
type kill struct {
	worker  string
	at      time.Time
	done    int // packages that were done
	session int
}

// ledger is the effect log added up.
type ledger struct {
	byKey   map[string][]*execution
	workers map[string]*workerLife
	kills   []kill
	begun   int
	session int
	done    map[string]bool // packages whose count has ended at least once
	faults  []string        // lines that contradict each other
}

func newLedger() *ledger {
	return &ledger{byKey: map[string][]*execution{}, workers: map[string]*workerLife{}, done: map[string]bool{}}
}

func (l *ledger) worker(name string) *workerLife {
	w := l.workers[name]
	if w == nil {
		w = &workerLife{}
		l.workers[name] = w
	}
	return w
}

// take adds a line.
func (l *ledger) take(e effect) {
	w := l.worker(e.worker)
	switch e.kind {
	case effectDemo:
		l.session++
	case effectKill:
		l.kills = append(l.kills, kill{worker: e.worker, at: e.at, done: len(l.done), session: l.session})
		w.left = e.at
	case effectLeave:
		w.left = e.at
	case effectRejoin:
		w.rejoined = true
	case effectBegin:
		x := &execution{key: e.key, worker: e.worker, counts: e.name == countName, begin: e.at, session: l.session}
		w.executions = append(w.executions, x)
		l.byKey[e.key] = append(l.byKey[e.key], x)
		l.begun++
	case effectEnd, effectRecorded:
		l.finish(e, w)
	}
}

// finish adds the line of an execution that goes on or ends.
func (l *ledger) finish(e effect, w *workerLife) {
	var x *execution
	for i := len(w.executions) - 1; i >= 0 && x == nil; i-- {
		if w.executions[i].key == e.key {
			x = w.executions[i]
		}
	}
	switch {
	case x == nil && e.kind == effectEnd:
		l.faults = append(l.faults, fmt.Sprintf("%s ended %s without having begun it", e.worker, e.key))
	case x == nil: // a result without an execution, as of an item tried too often
	case e.kind == effectEnd:
		x.ended = true
		if x.counts {
			l.done[x.key] = true
		}
	default:
		x.recorded = true
	}
}

// running is how many executions a worker has under way.
func (l *ledger) running(worker string) int {
	n := 0
	for _, x := range l.worker(worker).executions {
		if !x.ended {
			n++
		}
	}
	return n
}

// counting reports whether anybody is counting a package.
func (l *ledger) counting() bool {
	for _, w := range l.workers {
		for _, x := range w.executions {
			if x.counts && !x.ended {
				return true
			}
		}
	}
	return false
}

// held are the executions a dead worker has left without a recorded result.
func (l *ledger) held(worker string) []*execution {
	var held []*execution
	for _, x := range l.worker(worker).executions {
		if !x.recorded {
			held = append(held, x)
		}
	}
	return held
}

// again returns the execution that repeats x, nil if there is none.
func (l *ledger) again(x *execution) *execution {
	all := l.byKey[x.key]
	for i := range all {
		if all[i] == x && i+1 < len(all) {
			return all[i+1]
		}
	}
	return nil
}

// takeover is how what a killed worker held went on.
type takeover struct {
	running  int           // executions begun and not ended when it died
	held     int           // those, and those that had ended but whose results were not recorded
	repeated int           // those begun again by another worker
	first    time.Duration // from the kill until the first of them was
	last     time.Duration // until the last was
	whole    bool          // the demo was not interrupted in between, so that the times mean something
}

func (l *ledger) takeoverOf(k kill) takeover {
	t := takeover{whole: true}
	for _, x := range l.held(k.worker) {
		t.held++
		if !x.ended {
			t.running++
		}
		next := l.again(x)
		if next == nil {
			continue // its result was committed, and the line that says so was not written any more
		}
		after := next.begin.Sub(k.at)
		if t.repeated == 0 || after < t.first {
			t.first = after
		}
		t.last = max(t.last, after)
		t.repeated++
		t.whole = t.whole && next.session == k.session
	}
	return t
}

// verdict is what the log says of the promise.
type verdict struct {
	activities int // different ones
	repeated   int // those executed more than once
	lapsed     int // repeated because a worker that lived was silent too long
	abandoned  int // repeated because a worker ended that the demo had not killed
	faults     []string
}

// verdict checks the promise: a recorded result is never asked for again, and nothing is begun again while the worker
// that had begun it was alive and heard of. All workers must have ended.
func (l *ledger) verdict() verdict {
	v := verdict{activities: len(l.byKey), faults: l.faults}
	killed := map[string]bool{}
	for _, k := range l.kills {
		killed[k.worker] = true
	}
	for key, all := range l.byKey {
		if len(all) > 1 {
			v.repeated++
		}
		for i, x := range all[:len(all)-1] {
			next, w := all[i+1], l.worker(x.worker)
			switch {
			case x.recorded:
				v.faults = append(v.faults, fmt.Sprintf("%s was executed again by %s though the result of %s was recorded", key, next.worker, x.worker))
			case w.rejoined:
				v.lapsed++
			case next.begin.Before(w.left):
				v.faults = append(v.faults, fmt.Sprintf("%s was begun again by %s while %s, which had it, was alive", key, next.worker, x.worker))
			case !killed[x.worker]:
				v.abandoned++
			}
		}
	}
	return v
}
