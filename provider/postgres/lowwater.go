package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pawlrun/pawl/provider"
)

// Where the heads of the queues are. Rows that have left a queue leave entries behind in its index until a vacuum may
// remove them, which it may not as long as anybody in the database holds an older snapshot. A look for the first row reads
// through them all. So a process remembers for every class where the first live row was at its last look, begins there the
// next time, and misses nothing by it (docs/adr/0007-low-water.md):
//
//   - A row gets into a queue with a due time not before the clock at that moment, and its transaction has a number by
//     then. So of transactions that began after a look nothing is due before it.
//   - Of those that were under way at a look, the process knows since which look, and begins that early once they have
//     ended. Those that last for longer it names to the server, which looks whether they have ended.
//
// Should all this fail, because a clock is set back or a database restored under a running process, then looks from the
// start, which go on once a second as long as they are cheap, find what was missed.

// queueKind is one of the queues of the store.
type queueKind byte

const (
	instanceQueue queueKind = iota + 1
	workQueue
	timerQueue
)

const (
	// renewEvery is how old what a process knows may get. Renewing it costs one probe per class and partition.
	renewEvery = 100 * time.Millisecond
	// openFor is how long a transaction must have been under way to be named. Until then looks begin as early as it did.
	openFor = time.Second
	// A fetch looks from the start every startEvery, or startShare times as long as the last such call took; a pulse, which
	// must end in time for the next, only if that was no longer than startInPulse.
	startEvery   = time.Second
	startShare   = 500
	startInPulse = 50 * time.Millisecond
	// looksFor is how long looks are remembered, and looksApart how far apart they are.
	looksFor   = 10 * time.Second
	looksApart = 50 * time.Millisecond
	// maxUnlisted is up to how many transactions the snapshot does not list are followed one by one. A transaction with
	// savepoints can have a million numbers.
	maxUnlisted = 1000
	// maxQueues bounds how many sets of classes are remembered; a process uses two or three for each worker.
	maxQueues = 64
	// clockSlack is how much clocks may differ in speed between two answers.
	clockSlack = 20 * time.Millisecond
)

// never and always are times before and after all others.
const (
	never  = math.MinInt64
	always = math.MaxInt64
)

// lowWater is what a process knows of all queues. Times are microseconds of the server's clock. The zero value knows nothing.
type lowWater struct {
	mu     sync.Mutex
	looks  []look // in order of their times
	queues map[string]*queueWater
	behind time.Duration // the clock of the server is at least this far ahead of time since birth; unknown if birth is zero
	birth  time.Time
}

// look is a fact about the store: what a transaction with a higher number than xid has put into a queue is due at or after
// at.
type look struct {
	xid uint64
	at  int64
}

// queueWater is what the last look at some classes of a queue has told.
type queueWater struct {
	at      int64            // the clock at that look
	low     []int64          // for each class, and then for what one worker alone may claim
	open    map[uint64]int64 // transactions under way for longer, and from when on each may have queued something
	renewed time.Time        // when the answer came
	asked   time.Time        // when the last call was sent that was to renew it
	// Of looks from the start: when to send the next, and how long the last one took.
	startNext time.Time
	startTook time.Duration
}

// looking is a look of a call at a queue.
type looking struct {
	water *lowWater
	key   string
	kind  queueKind
	sent  time.Time
	start bool // from the start
	// What the server is told: where to begin, as in queueWater.low, what queueWater.open says, and whether to renew all that.
	low   []int64
	open  map[uint64]int64
	renew bool
}

// seen is the answer to a look: a row of the kind rowLowWater.
type seen struct {
	at    int64
	xid   uint64   // of the look's own transaction
	under []uint64 // transactions under way, with lower numbers
	rest  uint64   // if not 0, more of them than under names are under way, none with a lower number than this
	first []int64  // as in queueWater.low the due time of the first live row, or always
}

// wanted is what a call looks for in a queue: see provider.FetchWorkRequest.
type wanted struct {
	classes []provider.ClassID
	ranks   []int16
	routed  provider.WorkerID // unless zero, also for what this worker alone may claim
}

// routedTo is the worker of a call if that asks for what it alone may claim.
func routedTo(worker provider.WorkerID, routed bool) provider.WorkerID {
	if !routed {
		return 0
	}
	return worker
}

// look returns the parameter that tells the server where to begin looking; inPulse says that the call must be quick.
func (l *lowWater) look(kind queueKind, w wanted, inPulse bool) (param, *looking) {
	at := l.begin(kind, w, inPulse)
	return lowWaterParam(w, at.low, at.open, at.renew), at
}

// begin is what look tells the server.
func (l *lowWater) begin(kind queueKind, w wanted, inPulse bool) *looking {
	now := time.Now()
	at := &looking{water: l, key: queueKey(kind, w), kind: kind, sent: now}
	n := len(w.classes)
	if kind == timerQueue || w.routed != 0 {
		n++
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queues[at.key]
	if q == nil {
		if l.queues == nil || len(l.queues) >= maxQueues {
			l.queues = make(map[string]*queueWater)
		}
		q = &queueWater{low: slices.Repeat([]int64{never}, n)}
		l.queues[at.key] = q
	}
	at.low, at.open = q.low, q.open
	at.renew = now.Sub(q.renewed) >= renewEvery && now.Sub(q.asked) >= renewEvery
	if !now.Before(q.startNext) && !(inPulse && q.startTook > startInPulse) {
		at.start, at.renew = true, true
		q.startNext = now.Add(startEvery) // unless the answer says that this one took long
		at.low, at.open = slices.Repeat([]int64{never}, n), nil
	}
	if at.renew {
		q.asked = now
	}
	return at
}

func queueKey(kind queueKind, w wanted) string {
	key := append(make([]byte, 0, 9+4*len(w.classes)), byte(kind))
	key = binary.BigEndian.AppendUint64(key, uint64(w.routed))
	for _, c := range w.classes {
		key = binary.BigEndian.AppendUint32(key, uint32(c))
	}
	return string(key)
}

// learn takes the answer to a look. The call must have succeeded: what it saw as gone must be committed.
func (at *looking) learn(s *seen) {
	l, now := at.water, time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.impossible(s, at.sent, now) {
		l.forget()
	}
	since := func(q *queueWater, xid uint64) int64 {
		if began, ok := q.open[xid]; ok {
			return began
		}
		return l.before(xid)
	}
	if q := l.queues[at.key]; q != nil && s.at > q.at && len(s.first) == len(q.low) {
		begin, open := s.at, map[uint64]int64(nil)
		if s.rest != 0 {
			begin = min(begin, l.before(s.rest))
		}
		for _, xid := range s.under {
			began := since(q, xid)
			if began > s.at-openFor.Microseconds() {
				begin = min(begin, began)
				continue
			}
			if open == nil {
				open = make(map[uint64]int64)
			}
			open[xid] = began
		}
		low := make([]int64, len(s.first))
		for i, first := range s.first {
			low[i] = min(begin, first)
		}
		q.at, q.low, q.open, q.renewed = s.at, low, open, now
		if at.start {
			q.startTook = now.Sub(at.sent)
			q.startNext = now.Add(max(startEvery, startShare*q.startTook))
		}
	}
	l.remember(look{s.xid, s.at})
}

// before returns the time of the last look that was over when the transaction began.
func (l *lowWater) before(xid uint64) int64 {
	for _, k := range slices.Backward(l.looks) {
		if k.xid < xid {
			return k.at
		}
	}
	return never
}

func (l *lowWater) remember(k look) {
	if n := len(l.looks); n > 0 && k.at < l.looks[n-1].at+looksApart.Microseconds() {
		return
	}
	l.looks = append(l.looks, k)
	old := 0 // one of them stays, for transactions that began before all others
	for old+1 < len(l.looks) && l.looks[old+1].at < k.at-looksFor.Microseconds() {
		old++
	}
	l.looks = slices.Delete(l.looks, 0, old)
}

// impossible reports that an answer contradicts what is known: the clock was set back, or transaction numbers have begun
// again, as in a database that was restored.
func (l *lowWater) impossible(s *seen, sent, now time.Time) bool {
	known := !l.birth.IsZero()
	if !known {
		l.birth = now
	}
	micros := func(t time.Time) time.Duration { return time.Duration(s.at)*time.Microsecond - t.Sub(l.birth) }
	back := known && micros(sent) < l.behind-clockSlack
	l.behind = micros(now)
	if n := len(l.looks); n > 0 && s.at > l.looks[n-1].at+openFor.Microseconds() && s.xid < l.looks[n-1].xid {
		back = true
	}
	return back
}

// forget makes the next looks begin at the start.
func (l *lowWater) forget() {
	l.looks, l.queues = nil, nil
}

// otherServer reports whether after this error of a call the server may be another one, or have crashed and lost what it had
// not flushed.
func otherServer(err error) bool {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return true // the connection is lost, or could not be made
	}
	return strings.HasPrefix(server.Code, "57P") || server.Code == "25006"
}

// reset is forget, for the time after such an error.
func (l *lowWater) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
}

// lowWaterParam writes a value of the type low_water.
func lowWaterParam(w wanted, low []int64, open map[uint64]int64, renew bool) param {
	lows := newColumn(oidTimestamp, len(low))
	for _, at := range low {
		lows.micros(at)
	}
	xids, since := newColumn(oidXID8, len(open)), newColumn(oidTimestamp, len(open))
	for xid, at := range open {
		xids.int8(int64(xid))
		since.micros(at)
	}
	fields := []param{classesParam(w.classes), lows.param(), xids.param(), since.param(), ranksParam(w.ranks), boolParam(w.routed != 0),
		boolParam(renew)}
	data := binary.BigEndian.AppendUint32(nil, uint32(len(fields)))
	for _, f := range fields {
		data = binary.BigEndian.AppendUint32(data, f.oid)
		if f.data == nil {
			data = binary.BigEndian.AppendUint32(data, 0xffffffff)
			continue
		}
		data = binary.BigEndian.AppendUint32(data, uint32(len(f.data)))
		data = append(data, f.data...)
	}
	return param{data: data} // the server knows the type: each schema has its own
}

// ranksParam is null if no rank is lower than another.
func ranksParam(ranks []int16) param {
	c := newColumn(oidInt2, len(ranks))
	if len(ranks) == 0 || !slices.ContainsFunc(ranks, func(r int16) bool { return r != ranks[0] }) {
		return c.param()
	}
	for _, r := range ranks {
		c.int2(r)
	}
	return c.param()
}

// micros appends a time given in microseconds since 1970; never and always are infinite.
func (c *column) micros(at int64) {
	if at != never && at != always {
		at -= epochMicros
	}
	c.int8(at)
}

// readSeen reads a row of the kind rowLowWater.
func readSeen(r *row) (*seen, error) {
	s := &seen{at: r.at.UnixMicro(), xid: uint64(r.num)}
	parts := strings.Split(string(r.name), ":") // xmin:xmax:xid,xid,...
	if len(parts) != 3 {
		return nil, fmt.Errorf("snapshot %q", r.name)
	}
	xmax, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("snapshot %q: %w", r.name, err)
	}
	// What is listed is below xmax, which is the first number after all that have ended. What is above is under way.
	if s.xid > xmax+maxUnlisted {
		s.rest = xmax
	} else {
		for xid := xmax; xid < s.xid; xid++ {
			s.under = append(s.under, xid)
		}
	}
	for text := range strings.SplitSeq(parts[2], ",") {
		if text == "" {
			continue
		}
		xid, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("snapshot %q: %w", r.name, err)
		}
		s.under = append(s.under, xid)
	}
	eachElement(r.refs, func(_ int, elem []byte) {
		first := int64(always)
		if elem != nil {
			first = getInt8(elem)
		}
		s.first = append(s.first, first)
	})
	return s, nil
}

// claimParam is the parameter of a commit that claims work along the way, or not.
func (p *Provider) claimParam(a *answer, n int, w wanted) param {
	if n <= 0 {
		return param{}
	}
	return a.looks.add(p.water.look(workQueue, w, false))
}

// looks are the looks of one call and what came of them.
type looks struct {
	asked []*looking
	seen  map[queueKind]*seen
	again bool // others are just writing: look again in a moment
}

func (l *looks) add(p param, at *looking) param {
	l.asked = append(l.asked, at)
	return p
}

// read takes a row if it is about looks.
func (l *looks) read(r *row) (mine bool, err error) {
	switch r.kind {
	case rowLowWater:
		s, err := readSeen(r)
		if l.seen == nil {
			l.seen = make(map[queueKind]*seen)
		}
		l.seen[queueKind(r.flags)] = s
		return true, err
	case rowAgain:
		l.again = true
		return true, nil
	}
	return false, nil
}

// learn is for after the call has succeeded.
func (l *looks) learn() {
	for _, at := range l.asked {
		if s := l.seen[at.kind]; s != nil {
			at.learn(s)
		}
	}
}
