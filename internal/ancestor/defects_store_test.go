package ancestor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest"
)

// patient options take nothing over within a test: what goes on does not owe it to a lease that ran out.
func patient() *pawl.Options {
	return &pawl.Options{PulseInterval: 200 * time.Millisecond, TTL: 10 * time.Minute, CacheBytes: -1}
}

// faulty is a handle whose calls fail as planned.
func (w *world) faulty(plan providertest.FaultPlan) provider.Provider {
	return providertest.Faulty(w.open(), plan)
}

// breakConnections ends all connections to the PostgreSQL store, again and again, and then closes done.
func (w *world) breakConnections(done chan<- struct{}) {
	defer close(done)
	conn, err := pgx.Connect(w.ctx, pgtest.ServerURL(w))
	if err != nil {
		w.Errorf("connect: %v", err)
		return
	}
	defer conn.Close(w.ctx)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	broken := 0
	for broken < 40 && w.ctx.Err() == nil {
		<-tick.C
		var n int
		err := conn.QueryRow(w.ctx, "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1", w.schema).Scan(&n)
		if err != nil {
			w.Errorf("terminate backends: %v", err)
			return
		}
		broken += n
	}
	if broken == 0 {
		w.Error("no connection was broken")
	}
}

// steps is an orchestration of five activities in sequence.
func steps(o *pawl.Context, _ struct{}) (int, error) {
	sum := 0
	for i := range 5 {
		n, err := pawl.ActivityByName[int](o, "Count", fmt.Sprint(o.InstanceID(), "/", i)).Await()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func brokenConnections(w *world) {
	var done counter
	store := w.open
	if w.dsn == "" {
		store = func() provider.Provider { return w.faulty(providertest.RandomFaults(7, 25)) }
	}
	app := w.appOn(store(), patient(), orchestration("Steps", steps),
		activity("Count", func(_ context.Context, key string) (int, error) { return done.add(key), nil }))
	calm := make(chan struct{})
	if w.dsn != "" {
		go w.breakConnections(calm)
	} else {
		close(calm)
	}
	defer func() { <-calm }()
	for wave := 0; ; wave++ {
		var runs []*pawl.Run[int]
		for i := range 10 {
			runs = append(runs, begin[int](w, app, "Steps", struct{}{}, fmt.Sprint("steps ", wave, "/", i)))
		}
		for _, run := range runs {
			expect(w, run, 5) // each of the five activities ran for the first time
		}
		select {
		case <-calm:
			return
		default:
		}
	}
}

func resultSurvivesFailedAck(w *world) {
	// Commits of results are lost on their way there, or their answers on the way back.
	plan := func(op string, n int) providertest.Fault {
		if op == "AckWorkItems" || op == "AckOrchestrationItems" {
			return []providertest.Fault{providertest.LostBefore, providertest.LostBefore, providertest.LostAfter, providertest.NoFault}[n%4]
		}
		return providertest.NoFault
	}
	var done counter
	count := activity("Count", func(_ context.Context, key string) (int, error) { return done.add(key), nil })
	remote := patient()
	remote.Tags = []string{"remote"}
	w.appOn(w.faulty(plan), remote, count)
	app := w.appOn(w.faulty(plan), patient(), count, orchestration("Steps", func(o *pawl.Context, _ struct{}) (int, error) {
		sum := 0
		for i, tag := range []string{"", "remote", "", "remote"} {
			n, err := pawl.ActivityByName[int](o, "Count", fmt.Sprint(i), pawl.ActivityOptions{Tag: tag}).Await()
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	}))
	expect(w, begin[int](w, app, "Steps", struct{}{}, "steps"), 4)
	for i := range 4 {
		check(w, "runs of one activity", done.of(fmt.Sprint(i)), 1)
	}
}

func secondStart(w *world) {
	wait := func(answer string) pawl.OrchestrationFunc[string, string] {
		return func(o *pawl.Context, _ string) (string, error) {
			event, err := pawl.Event[string](o, "end").Await()
			return answer + " " + event, err
		}
	}
	app := w.app(&pawl.Options{CacheBytes: -1, Versions: map[string]string{"First": "1.0.0"}},
		orchestration("First", wait("first"), pawl.Version("1.0.0")), orchestration("First", wait("newer"), pawl.Version("2.0.0")),
		orchestration("Second", func(o *pawl.Context, _ string) (string, error) { return "second", nil }))
	run := begin[string](w, app, "First", "input", "taken")
	for _, again := range []struct{ name, version string }{{"First", ""}, {"First", "2.0.0"}, {"Second", ""}} {
		_, err := pawl.StartByName[string](w.ctx, app, again.name, "other input", &pawl.StartOptions{InstanceID: "taken", Version: again.version})
		var which *pawl.InstanceError
		if !errors.Is(err, pawl.ErrAlreadyExists) || !errors.As(err, &which) || which.InstanceID != "taken" {
			w.Errorf("second start of %s %s: %v", again.name, again.version, err)
		}
		attached, err := pawl.StartByName[string](w.ctx, app, again.name, "other input",
			&pawl.StartOptions{InstanceID: "taken", Version: again.version, Reuse: pawl.ReuseAttach})
		if err != nil || attached.InstanceID() != "taken" {
			w.Errorf("attaching start of %s %s: %v", again.name, again.version, err)
		}
	}
	check(w, "version", w.describe(app, "taken").Version, "1.0.0")
	w.tell(app, "taken", "end", "as it began")
	expect(w, run, "first as it began")
	if _, err := pawl.StartByName[string](w.ctx, app, "Second", "", &pawl.StartOptions{InstanceID: "taken"}); !errors.Is(err, pawl.ErrAlreadyExists) {
		w.Errorf("start of an ended instance: %v", err)
	}
}

func failedAckKeepsLease(w *world) {
	plan := func(_ string, n int) providertest.Fault {
		return []providertest.Fault{providertest.NoFault, providertest.LostBefore, providertest.NoFault, providertest.LostAfter}[n%4]
	}
	echo := activity("Count", func(context.Context, string) (int, error) { return 1, nil })
	app := w.appOn(w.faulty(plan), patient(), orchestration("Steps", steps), echo)
	for i := range 5 {
		expect(w, begin[int](w, app, "Steps", struct{}{}, fmt.Sprint("steps ", i)), 5)
	}
	// What a stopped process held is free at once, too.
	run := begin[int](w, app, "Steps", struct{}{}, "handed over")
	w.stop(app)
	next := w.app(patient(), orchestration("Steps", steps), echo)
	run, err := pawl.Attach[int](next, run.InstanceID())
	if err != nil {
		w.Fatal(err)
	}
	expect(w, run, 5)
}

func sameName(w *world) {
	var done counter
	options := func() *pawl.Options {
		o := patient()
		o.Name, o.MaxActivities = "the same name", 3
		return o
	}
	functions := []registration{orchestration("Steps", steps),
		activity("Count", func(_ context.Context, key string) (int, error) { return done.add(key), nil })}
	one, two := w.app(options(), functions...), w.app(options(), functions...)
	var runs []*pawl.Run[int]
	for i := range 12 {
		runs = append(runs, begin[int](w, []*pawl.App{one, two}[i%2], "Steps", struct{}{}, fmt.Sprint("steps ", i)))
	}
	for _, run := range runs {
		expect(w, run, 5)
	}
	// The end of one is not the end of the other.
	w.stop(one)
	expect(w, begin[int](w, two, "Steps", struct{}{}, "afterwards"), 5)
}

func workForOthers(w *world) {
	var done counter
	for _, tag := range []string{"a", "b", "c"} {
		options := patient()
		options.Tags, options.MaxActivities = []string{tag}, 1
		w.app(options, activity("Tagged", func(_ context.Context, key string) (string, error) {
			return tag, map[bool]error{true: errors.New("run twice")}[done.add(key) > 1]
		}))
	}
	app := w.app(patient(), orchestration("FanOut", func(o *pawl.Context, _ struct{}) (string, error) {
		var all []*pawl.Future[string]
		for i := range 30 {
			all = append(all, pawl.ActivityByName[string](o, "Tagged", fmt.Sprint(i), pawl.ActivityOptions{Tag: string(rune('a' + i%3))}))
		}
		tags, err := pawl.All(all...)
		return strings.Join(tags, ""), err
	}))
	expect(w, begin[string](w, app, "FanOut", struct{}{}, "fan-out"), strings.Repeat("abc", 10))
}

func commitsHappenOnce(w *world) {
	// The answer of every other commit is lost, so every other one is made twice.
	plan := func(_ string, n int) providertest.Fault {
		return []providertest.Fault{providertest.LostAfter, providertest.NoFault}[n%2]
	}
	const count = 20
	app := w.appOn(w.faulty(plan), patient(), activity("Nothing", func(context.Context, int) (int, error) { return 0, nil }),
		orchestration("Collect", func(o *pawl.Context, _ struct{}) (string, error) {
			var all []int
			for {
				n, err := pawl.Event[int](o, "number").Await()
				if err != nil || n < 0 {
					return fmt.Sprint(all), err
				}
				all = append(all, n)
			}
		}),
		orchestration("Send", func(o *pawl.Context, _ struct{}) (struct{}, error) {
			for i := range count {
				if err := pawl.SendEvent(o, "collect", "number", i); err != nil {
					return struct{}{}, err
				}
				if _, err := pawl.ActivityByName[int](o, "Nothing", i).Await(); err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, pawl.SendEvent(o, "collect", "number", -1)
		}))
	run := begin[string](w, app, "Collect", struct{}{}, "collect")
	begin[struct{}](w, app, "Send", struct{}{}, "send")
	want := make([]int, count)
	for i := range want {
		want[i] = i
	}
	expect(w, run, fmt.Sprint(want))
	if slices.Contains([]string{"failed", "parked"}, w.ended(app, "send").Status) {
		w.Error("the sender failed")
	}
}
