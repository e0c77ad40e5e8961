package pawl_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
)

// storm is a load that uses all features while its workers are killed, and the model of what it must come to.
type storm struct {
	*world
	client *pawl.App
	log    string
	seed   uint64
	asked  atomic.Int64 // calls of a client that were answered

	mu   sync.Mutex
	ends map[string]string // instance id to the status it must end with; "" if it may be absent, else is cancelled
}

// stormFor is how long the load goes on, and stormSeed what chance begins with. The environment can set both: PAWL_CHAOS is
// a duration, PAWL_CHAOS_SEED a number.
func stormFor(t *testing.T) (time.Duration, uint64) {
	t.Helper()
	d, seed := 7*time.Second, uint64(time.Now().UnixNano())%1e6
	var errs [2]error
	if s := os.Getenv("PAWL_CHAOS"); s != "" {
		d, errs[0] = time.ParseDuration(s)
	}
	if s := os.Getenv("PAWL_CHAOS_SEED"); s != "" {
		seed, errs[1] = strconv.ParseUint(s, 10, 64)
	}
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return d, seed
}

// TestFeaturesSurviveKills: worker processes are killed at random moments, and connections cut, while all features are used
// together. All ends as it would have without that; nothing is lost, recorded twice or left over.
func TestFeaturesSurviveKills(t *testing.T) {
	total, seed := stormFor(t)
	onProcessStores(t, func(w *world, store string) {
		ctx, cancel := context.WithTimeout(w.Context(), total+45*time.Second)
		defer cancel()
		schema := ""
		if strings.HasPrefix(store, "postgres:") {
			store, schema = named(t, store)
		}
		s := &storm{world: &world{TB: w.TB, ctx: ctx}, log: filepath.Join(w.TempDir(), "log"), seed: seed, ends: map[string]string{}}
		s.open = func(t testing.TB) provider.Provider {
			p, err := openStore(store)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Close() })
			return p
		}
		s.client = s.app(&pawl.Options{ClientOnly: true, PulseInterval: 200 * time.Millisecond, TTL: time.Second},
			registerPatient, registerStubborn, registerFeatures, orchestration(account))
		w.Logf("seed %d", seed)
		workers := []*exec.Cmd{s.spawn(store, hurriedEnv+"=roomy"), s.spawn(store, hurriedEnv+"=cramped")}
		wait := s.blow(time.Now().Add(total))
		kills, cuts := s.wreak(store, schema, workers, time.Now().Add(total))
		wait()
		w.Logf("%d instances, %d answered calls, %d killed workers, %d terminated connections", len(s.ends), s.asked.Load(), kills, cuts)
		if kills == 0 || len(s.ends) < 20 {
			w.Error("nothing was broken, or nothing was done, so nothing is shown")
		}
		s.check(newTables(w, store, schema))
	})
}

// wreak kills workers, and cuts connections where there are any, until the time is over. It leaves two workers alive.
func (s *storm) wreak(store, schema string, workers []*exec.Cmd, until time.Time) (kills, cuts int) {
	r := rand.New(rand.NewPCG(s.seed, 0))
	var admin *pgx.Conn
	if schema != "" {
		var err error
		if admin, err = pgx.Connect(s.ctx, pgtest.ServerURL(s)); err != nil {
			s.Fatal(err)
		}
		defer admin.Close(context.Background())
	}
	for {
		if err := pass(s.ctx, 100*time.Millisecond+upTo(r, 700*time.Millisecond)); err != nil || time.Now().After(until) {
			return kills, cuts
		}
		if admin != nil && r.IntN(2) == 0 {
			// Some of the connections, or all.
			tag, err := admin.Exec(s.ctx, `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and random() < $2`,
				"chaos-"+schema, []float64{0.3, 1}[r.IntN(2)])
			if err != nil {
				s.Fatal(err)
			}
			cuts += int(tag.RowsAffected())
			continue
		}
		victims := []int{r.IntN(len(workers))}
		if r.IntN(6) == 0 {
			victims = []int{0, 1}
		}
		for _, i := range victims {
			workers[i].Process.Kill()
			kills++
		}
		for _, i := range victims {
			workers[i] = s.spawn(store, hurriedEnv+"="+[]string{"roomy", "cramped"}[r.IntN(2)])
		}
	}
}

// blow has clients play their scripts one after the other until the time is over. wait waits until all are through.
func (s *storm) blow(until time.Time) (wait func()) {
	var clients sync.WaitGroup
	for lane, name := range slices.Repeat(slices.Sorted(maps.Keys(scripts)), 2) {
		clients.Go(func() {
			for n := 0; time.Now().Before(until) && !s.Failed(); n++ {
				id := fmt.Sprintf("%s-%d-%d", name, lane, n)
				if err := scripts[name](s, rand.New(rand.NewPCG(s.seed, uint64(lane<<32+n+1))), id); err != nil {
					s.Errorf("seed %d, %s: %v", s.seed, id, err)
				}
			}
		})
	}
	return clients.Wait
}

// ending tells the model how an instance ends.
func (s *storm) ending(id, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[id] = status
}

func upTo(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}

// pause lets some of the time pass.
func (s *storm) pause(r *rand.Rand, most time.Duration) { _ = pass(s.ctx, upTo(r, most)) }

// spring starts an instance that must end with a status.
func spring[I, O any](s *storm, fn pawl.OrchestrationFunc[I, O], in I, status string, opts *pawl.StartOptions) (*pawl.Run[O], error) {
	s.ending(opts.InstanceID, status)
	s.asked.Add(1)
	return pawl.Start(s.ctx, s.client, fn, in, opts)
}

// exists waits until there is an instance.
func (s *storm) exists(id string) error {
	for {
		_, err := s.client.Describe(s.ctx, id)
		if !errors.Is(err, pawl.ErrNotFound) {
			return err
		}
		if err := pass(s.ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%s does not come to exist: %w", id, err)
		}
	}
}

// tell raises an event on an instance that exists sooner or later.
func (s *storm) tell(id, event string, payload any) error {
	if err := s.exists(id); err != nil {
		return err
	}
	s.asked.Add(1)
	return pawl.Raise(s.ctx, s.client, id, event, payload, nil)
}

// tables reads the tables of a store behind the provider's back: each row as text.
type tables struct {
	rows   func(query string) ([][]string, error)
	prefix string // of the names of tables
	body   string // the column of history_events that has the document
	number string // the column of instance that the other tables name it by
	live   string // the condition for rows of instances
	unread string // the condition for messages m that must not be left
}

func newTables(w *world, store, schema string) *tables {
	if schema != "" {
		conn, err := pgx.Connect(w.Context(), pgtest.ServerURL(w))
		if err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() { conn.Close(context.Background()) })
		return &tables{prefix: pgx.Identifier{schema}.Sanitize() + ".", body: "document", number: "iid", live: "part >= 0",
			// What an ended instance has not read may stay for as long as that. What was sent to one that has been replaced
			// meanwhile stays until a fetch meets the hint that came with it.
			unread: `part >= 0 and coalesce((select status = 0 from {}instance i where i.iid = m.iid),
				not exists (select from {}hint h where h.iid = m.iid))`, rows: func(query string) ([][]string, error) {
				rows, err := conn.Query(w.Context(), query)
				if err != nil {
					return nil, err
				}
				return pgx.CollectRows(rows, func(row pgx.CollectableRow) (texts []string, err error) {
					values, err := row.Values()
					for _, v := range values {
						texts = append(texts, fmt.Sprint(v))
					}
					return texts, err
				})
			}}
	}
	db, err := sql.Open("sqlite", store)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { db.Close() })
	return &tables{body: "body", number: "id", live: "true", unread: "true", rows: func(query string) (all [][]string, err error) {
		rows, err := db.QueryContext(w.Context(), query)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			texts, into := make([]string, len(columns)), make([]any, len(columns))
			for i := range texts {
				into[i] = &texts[i]
			}
			if err := rows.Scan(into...); err != nil {
				return nil, err
			}
			all = append(all, texts)
		}
		return all, rows.Err()
	}}
}

// read returns rows, each as text; {} in the query stands for the schema of the tables.
func (s *storm) read(t *tables, query string) [][]string {
	s.Helper()
	rows, err := t.rows(strings.ReplaceAll(query, "{}", t.prefix))
	if err != nil {
		s.Fatalf("%s: %v", query, err)
	}
	return rows
}

// check compares what is in the store and in the log with the model.
func (s *storm) check(t *tables) {
	bad := 0
	deviates := func(id, format string, args ...any) {
		s.Errorf("seed %d, %s: %s", s.seed, id, fmt.Sprintf(format, args...))
		if bad++; bad <= 3 {
			s.dump(t, id)
		}
	}
	found := map[string]string{}
	s.eventually("all instances to end, nothing to be left over", func() bool {
		clear(found)
		for _, row := range s.read(t, `select instance_id, status from {}instances`) {
			found[row[0]] = row[1]
		}
		left := s.read(t, `select (select count(*) from {}work where `+t.live+`), (select count(*) from {}inbox m where `+t.unread+`),
			(select count(*) from {}timer where `+t.live+`), (select count(*) from {}instance where status = 0 and `+t.live+`)`)[0]
		if slices.Equal(left, []string{"0", "0", "0", "0"}) {
			return true
		}
		if deadline, _ := s.ctx.Deadline(); time.Until(deadline) < 25*time.Second {
			s.Errorf("seed %d: work, messages, timers and running instances left: %v", s.seed, left)
			s.logLeft(t)
			return true
		}
		return false
	})
	for id, status := range found {
		want, known := s.ends[id]
		if want == "" {
			want = "cancelled"
		}
		if !known || status != want {
			deviates(id, "status %s, want %q", status, want)
		}
		_, err := pawl.Query[string](s.ctx, s.client, id, "replay everything, then find no such query", "")
		if !errors.Is(err, pawl.ErrUnknownQuery) && !(status == "terminated" && errors.Is(err, pawl.ErrNotBegun)) {
			deviates(id, "replay: %v", err)
		}
	}
	for id, status := range s.ends {
		if _, there := found[id]; !there && status != "" {
			deviates(id, "lost, want it %s", status)
		}
	}
	s.checkHistories(t, deviates)
	s.checkLog()
}

// logLeft tells whose the messages are that are left.
func (s *storm) logLeft(t *tables) {
	for _, row := range s.read(t, `select instance_id, `+t.number+`, coalesce(owner, -1), coalesce(last_owner, -1), token, attempt, execution, next_seq,
		coalesce(cast(parked as text), '') from {}instance where status = 0 and `+t.live) {
		s.Logf("running: %s, number %s, owner %s, last owner %s, token %s, attempt %s, execution %s, next event %s, parked %q", row[0], row[1], row[2], row[3],
			row[4], row[5], row[6], row[7], row[8])
		s.dump(t, row[0])
	}
	for _, row := range s.read(t, `select worker, name, serves from {}workers`) {
		s.Logf("worker: %v", row)
	}
	for _, row := range s.read(t, `select kind, coalesce(name, ''), execution, event, iid, coalesce(cast(body as text), '') from {}inbox m where `+t.unread) {
		s.Logf("message of kind %s, name %q, for execution %s, event %s of instance number %s: %s", row[0], row[1], row[2], row[3], row[4], row[5])
		for _, of := range s.read(t, `select instance_id, status from {}instance where `+t.number+` = `+row[4]) {
			s.Logf("  that is %s, status %s", of[0], of[1])
		}
	}
}

// checkHistories: nothing has two outcomes, and no message was received twice.
func (s *storm) checkHistories(t *tables, deviates func(id, format string, args ...any)) {
	seen := map[string]string{} // what may happen once, and the event that did
	for _, row := range s.read(t, `select instance_id, execution, event, type, cast(`+t.body+` as text) from {}history_events`) {
		id, execution, number, kind := row[0], row[1], row[2], row[3]
		var event struct {
			Scheduled, Awaited int
			MessageID          string
		}
		if err := json.Unmarshal([]byte(row[4]), &event); err != nil {
			s.Fatal(err)
		}
		var once []string
		switch kind {
		case "ActivityCompleted", "ActivityFailed", "TimerFired", "ChildCompleted", "ChildFailed":
			once = append(once, fmt.Sprint("outcome of ", execution, "/", event.Scheduled))
		case "EventReceived":
			once = append(once, fmt.Sprint("outcome of ", execution, "/", event.Awaited), "message "+event.MessageID)
		case "Cancelled":
			once = append(once, fmt.Sprint("withdrawal of ", execution, "/", event.Scheduled))
		case "ExecutionCompleted", "ExecutionFailed", "ExecutionCancelled", "ExecutionTerminated", "ExecutionContinuedAsNew":
			once = append(once, "end of "+execution)
		}
		for _, what := range once {
			if before, twice := seen[id+": "+what]; twice && !strings.HasSuffix(what, "message ") {
				deviates(id, "%s twice: events %s and %s/%s", what, before, execution, number)
			}
			seen[id+": "+what] = execution + "/" + number
		}
	}
}

// checkLog: no attempt was begun twice, and none went on from where no earlier one had been.
func (s *storm) checkLog() {
	begins, reached := map[string]int{}, map[string]int{}
	attempts, lines := 0, errand{Log: s.log}.lines("")
	for _, line := range lines {
		f := strings.Fields(line)
		if f[0] == "begin" {
			if begins[line]++; begins[line] > 1 {
				s.Errorf("seed %d: attempt begun twice: %s", s.seed, line)
			}
			attempts++
			continue
		}
		if f[0] == "sweep" {
			continue
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			s.Fatal(err)
		}
		if f[0] == "from" && n > reached[f[1]] {
			s.Errorf("seed %d: %s goes on from %d, though %d is all that was reached", s.seed, f[1], n, reached[f[1]])
		}
		reached[f[1]] = max(reached[f[1]], n)
	}
	s.Logf("%d attempts of activities", attempts)
}

// dump logs the history of an instance.
func (s *storm) dump(t *tables, id string) {
	for _, row := range s.read(t, `select execution, event, cast(`+t.body+` as text) from {}history_events
		where instance_id = '`+id+`' order by execution, event`) {
		s.Logf("%s %s/%s %s", id, row[0], row[1], row[2])
	}
}
