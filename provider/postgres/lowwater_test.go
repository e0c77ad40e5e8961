package postgres

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// TestLowWater plays a server on which transactions put rows into two queues, take their time, and end in any order, and
// processes that look at any moment and take what they find. Nothing that was there when a look began may be below where
// it begins, and looks may not begin far back when nothing is under way.
func TestLowWater(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			s := &waterStore{T: t, random: rand.New(rand.NewPCG(1, seed)), next: 3}
			processes := []*lowWater{{}, {}}
			for range 5000 {
				s.step()
				if s.random.IntN(3) == 0 {
					s.look(processes[s.random.IntN(2)])
				}
			}
			for len(s.open) > 0 {
				s.end()
			}
			s.quiet = true
			for s.live() > 0 {
				s.pass(renewEvery)
				s.look(processes[0])
			}
			for range 2 {
				s.pass(renewEvery)
				s.look(processes[0])
			}
			for _, low := range s.look(processes[0]).low {
				if behind := s.clock() - low; behind > 2*renewEvery.Microseconds() {
					t.Errorf("seed %d: the look begins %d µs back", seed, behind)
				}
			}
			if s.found < 500 {
				t.Errorf("seed %d: %d rows found only", seed, s.found)
			}
		})
	}
}

// TestLowWaterForgets has a server answer what it cannot be that knew what the process knows.
func TestLowWaterForgets(t *testing.T) {
	minute := time.Minute.Microseconds()
	for name, c := range map[string]struct {
		later   time.Duration // when the answer comes
		at      int64         // its clock
		xid     uint64
		forgets bool
	}{
		"nothing special":          {time.Minute, minute, 200, false},
		"clock slow by a little":   {time.Minute, minute - 1000, 200, false},
		"clock set back":           {time.Minute, minute - 5_000_000, 200, true},
		"clock set back far":       {time.Second, -minute, 200, true},
		"clock set forward":        {time.Minute, 2 * minute, 200, false},
		"transactions begin again": {time.Minute, minute, 20, true},
		"answers cross":            {time.Millisecond, 500, 99, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l lowWater
				begin := time.Now().UnixMicro()
				answer := func(at int64, xid uint64) {
					l.begin(workQueue, wanted{classes: []provider.ClassID{1}}, false).learn(&seen{at: begin + at, xid: xid, first: []int64{always}})
				}
				answer(0, 100)
				<-time.After(c.later)
				other := l.begin(workQueue, wanted{classes: []provider.ClassID{2}}, false)
				other.learn(&seen{at: begin + c.at, xid: c.xid, first: []int64{always}})
				q := l.queues[queueKey(workQueue, wanted{classes: []provider.ClassID{1}})]
				if forgot := q == nil || q.low[0] == never; forgot != c.forgets {
					t.Errorf("forgot %v, want %v", forgot, c.forgets)
				}
				l.reset()
				if at := l.begin(workQueue, wanted{classes: []provider.ClassID{1}}, true); at.low[0] != never || at.open != nil {
					t.Errorf("begins at %d after a call that failed", at.low[0])
				}
			})
		})
	}
}

// TestDueIsNotBeforeArrival reads the functions: whatever puts a row into a queue must take its due time from the clock while
// it does so, not from the beginning of the call. Looks may have begun later by then.
func TestDueIsNotBeforeArrival(t *testing.T) {
	insert := regexp.MustCompile(`(?s)insert into (?:@schema@\.)?(hint|timer|work)\b.*?(?:\)|;)\s*(?:select|values).*?(?:;|\n\s*returning|\),\n\s*\w+ as)`)
	found := map[string]int{}
	for _, path := range embedded("functions") {
		for _, m := range insert.FindAllStringSubmatch(readEmbedded(path), -1) {
			statement, queue := m[0], m[1]
			if queue == "work" && !strings.Contains(statement, "case when") { // all of it is born leased, in no queue
				continue
			}
			found[queue]++
			if !strings.Contains(statement, "clock_timestamp()") {
				t.Errorf("%s: %s", path, statement)
			}
		}
	}
	if found["hint"] < 9 || found["timer"] != 1 || found["work"] != 1 {
		t.Errorf("found %v", found)
	}
}

// waterStore is a server as far as lowWater knows it.
type waterStore struct {
	*testing.T
	random *rand.Rand
	next   uint64 // transaction number
	ended  uint64 // the highest one that has ended
	open   []*waterTransaction
	rows   []*waterRow
	found  int
	quiet  bool // nothing happens between the statements of a call any more
}

type waterTransaction struct {
	xid  uint64
	rows []*waterRow
}

type waterRow struct {
	class     int
	due       int64
	there     bool
	committed bool
}

func (s *waterStore) clock() int64 { return time.Now().UnixMicro() }

func (s *waterStore) pass(d time.Duration) { <-time.After(d) }

// step lets a random thing happen.
func (s *waterStore) step() {
	switch n := s.random.IntN(12); {
	case n < 3:
		s.pass(time.Duration(s.random.ExpFloat64() * float64(20*time.Millisecond)))
	case n == 3 && s.random.IntN(20) == 0:
		s.pass(time.Duration(s.random.Int64N(int64(3 * time.Second))))
	case n < 7:
		s.open = append(s.open, &waterTransaction{xid: s.next})
		s.next++
	case n < 9 && len(s.open) > 0:
		x := s.open[s.random.IntN(len(s.open))]
		row := &waterRow{class: s.random.IntN(2), due: s.clock()}
		if s.random.IntN(10) == 0 {
			row.due += s.random.Int64N(2_000_000)
		}
		x.rows = append(x.rows, row)
		s.rows = append(s.rows, row)
	case len(s.open) > 0:
		s.end()
	}
}

// end ends a transaction, most often not one of the few that last for long.
func (s *waterStore) end() {
	i := s.random.IntN(len(s.open))
	if i < 2 && s.random.IntN(10) > 0 {
		i = len(s.open) - 1
	}
	x := s.open[i]
	s.open = append(s.open[:i], s.open[i+1:]...)
	s.ended = max(s.ended, x.xid)
	for _, row := range x.rows {
		row.committed = s.random.IntN(10) > 0
		row.there = row.committed
	}
}

func (s *waterStore) under(xid uint64) bool {
	for _, x := range s.open {
		if x.xid == xid {
			return true
		}
	}
	return xid >= s.next
}

// between lets things happen between the statements of a call.
func (s *waterStore) between() {
	for range s.random.IntN(3) {
		if !s.quiet {
			s.step()
		}
	}
}

// low is the function low_water_v1.
func (s *waterStore) low(at *looking) []int64 {
	low := append([]int64(nil), at.low...)
	for xid, since := range at.open {
		if !s.under(xid) {
			for i := range low {
				low[i] = min(low[i], since)
			}
		}
	}
	return low
}

// look is a call that looks, takes some of what it finds, and answers.
func (s *waterStore) look(l *lowWater) *looking {
	at := l.begin(instanceQueue, wanted{classes: []provider.ClassID{1, 2}}, false)
	for _, q := range l.queues {
		q.startNext = time.Now().Add(time.Hour) // it must do without
	}
	if at.start && len(l.looks) > 0 {
		s.Fatal("looks from the start")
	}
	t := s.clock()
	s.between()
	low := s.low(at)
	for _, row := range s.rows {
		if row.there && row.due <= t && row.due < low[row.class] {
			s.Fatalf("a row due at %d is below %d, under way were %v", row.due, low[row.class], at.open)
		}
	}
	s.between()
	own := uint64(0)
	number := func() {
		if own == 0 {
			own = s.next
			s.next++
		}
	}
	for _, row := range s.rows {
		if row.there && row.due <= t && row.due >= low[row.class] && s.random.IntN(4) > 0 {
			number()
			row.there = false
			s.found++
		}
	}
	s.between()
	if !at.renew {
		s.ended = max(s.ended, own)
		return at
	}
	number()
	xmax := s.ended + 1
	var listed []string
	for _, x := range s.open {
		if x.xid < xmax {
			listed = append(listed, fmt.Sprint(x.xid))
		}
	}
	r := &row{at: time.UnixMicro(t), num: int64(own), name: fmt.Appendf(nil, "3:%d:%s", xmax, strings.Join(listed, ","))}
	s.between()
	low = s.low(at)
	s.between()
	first := []int64{always, always}
	for _, row := range s.rows {
		if row.there && row.due <= t && row.due >= low[row.class] {
			first[row.class] = min(first[row.class], row.due)
		}
	}
	refs := newColumn(oidInt8, 2)
	for _, f := range first {
		if f == always {
			refs.null()
		} else {
			refs.int8(f)
		}
	}
	r.refs = refs.param().data
	seen, err := readSeen(r)
	if err != nil {
		s.Fatal(err)
	}
	s.between()
	s.ended = max(s.ended, own)
	at.learn(seen)
	return at
}

// live counts the rows that are still there.
func (s *waterStore) live() (n int) {
	for _, row := range s.rows {
		if row.there {
			n++
		}
	}
	return n
}
