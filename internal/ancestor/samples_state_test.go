package ancestor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlrun/pawl"
)

// eternal is as much of self-pruning as there is: an activity asks for its own instance, and the history stays short.
func eternal(w *world) {
	const executions = 6
	var app *pawl.App
	started := make(chan struct{})
	events := make(chan int, executions)
	app = w.app(nil,
		activity("Housekeeping", func(ctx context.Context, _ struct{}) (int, error) {
			<-started
			info, _ := pawl.ActivityInfoFrom(ctx)
			self, err := app.Describe(ctx, info.InstanceID)
			if err != nil {
				return 0, err
			}
			if self.Execution != info.Execution {
				return 0, fmt.Errorf("in execution %d of %d", info.Execution, self.Execution)
			}
			events <- self.Events
			return self.Execution, nil
		}),
		orchestration("Eternal", func(o *pawl.Context, _ struct{}) (string, error) {
			n, err := pawl.ActivityByName[int](o, "Housekeeping", struct{}{}).Await()
			if err != nil {
				return "", err
			}
			if n < executions {
				return "", pawl.ContinueAsNew(struct{}{})
			}
			return fmt.Sprintf("%d executions", n), nil
		}))
	close(started)
	expect(w, begin[string](w, app, "Eternal", struct{}{}, "eternal"), "6 executions")
	receive(w, "the length of the first execution", events)
	second := receive(w, "the length of the second", events)
	for range executions - 2 {
		check(w, "events in an execution", receive(w, "a length", events), second)
	}
}

func hotReload(w *world) {
	type state struct {
		Config string
		Cycles int
	}
	app := w.app(nil,
		activity("Apply", func(_ context.Context, s state) (string, error) { return fmt.Sprintf("%s@%d", s.Config, s.Cycles), nil }),
		orchestration("Service", func(o *pawl.Context, s state) (string, error) {
			// Drain what has arrived: the last configuration counts.
			for {
				config, err := pawl.EventWithin[string](o, "config", 0)
				if errors.Is(err, pawl.ErrTimeout) {
					break
				}
				if err != nil {
					return "", err
				}
				s.Config = config
			}
			s.Cycles++
			applied, err := pawl.ActivityByName[string](o, "Apply", s).Await()
			if err != nil {
				return "", err
			}
			if err := pawl.SetCustomStatus(o, applied); err != nil {
				return "", err
			}
			if _, err := pawl.Event[string](o, "cycle").Await(); err != nil {
				return "", err
			}
			if s.Cycles == 3 {
				return applied, nil
			}
			return "", pawl.ContinueAsNew(s)
		}))
	run := beginWith[string](w, app, "Service", state{Config: "initial"}, &pawl.StartOptions{InstanceID: "service"})
	expectStatus := func(want string, after int64) int64 {
		status, version, err := pawl.WaitForStatus[string](w.ctx, app, "service", after)
		if err != nil || status != want {
			w.Fatalf("status %q, error %v, want %q", status, err, want)
		}
		return version
	}
	v := expectStatus("initial@1", 0)
	for _, config := range []string{"a", "b", "c"} {
		w.tell(app, "service", "config", config)
	}
	w.tell(app, "service", "cycle", "")
	v = expectStatus("c@2", v)
	w.tell(app, "service", "cycle", "")
	expectStatus("c@3", v)
	w.tell(app, "service", "cycle", "")
	expect(w, run, "c@3")
}

// where is an activity that tells which worker runs it.
func where(worker string) pawl.ActivityFunc[string, string] {
	return func(_ context.Context, job string) (string, error) { return job + " on " + worker, nil }
}

func tagRouting(w *world) {
	pipeline := orchestration("Pipeline", func(o *pawl.Context, _ struct{}) (string, error) {
		cpu := pawl.ActivityByName[string](o, "Build", "build")
		gpu := pawl.ActivityByName[string](o, "Build", "render", pawl.ActivityOptions{Tag: "gpu"})
		both, err := pawl.All(cpu, gpu)
		return fmt.Sprint(both), err
	})
	// The worker of the orchestration has no tag: what is tagged leaves it, what is not may run anywhere.
	app := w.app(nil, pipeline, activity("Build", where("any")))
	w.app(&pawl.Options{Tags: []string{"gpu"}}, activity("Build", func(ctx context.Context, job string) (string, error) {
		if job == "build" {
			return "build on any", nil
		}
		return job + " on gpu", nil
	}))
	runs := make([]*pawl.Run[string], 5)
	for i := range runs {
		runs[i] = begin[string](w, app, "Pipeline", struct{}{}, fmt.Sprint("pipeline ", i))
	}
	for _, run := range runs {
		expect(w, run, "[build on any render on gpu]")
	}
}

func tagStarvation(w *world) {
	app := w.app(nil, activity("Render", where("here")),
		orchestration("Limit", func(o *pawl.Context, _ struct{}) (string, error) {
			_, err := pawl.ActivityByName[string](o, "Render", "scene", pawl.ActivityOptions{Tag: "gpu", ScheduleToStart: 50 * time.Millisecond}).Await()
			var timeout *pawl.TimeoutError
			if !errors.As(err, &timeout) || timeout.Type != pawl.TimeoutScheduleToStart {
				return "", fmt.Errorf("no limit: %w", err)
			}
			return pawl.ActivityByName[string](o, "Render", "scene").Await()
		}),
		orchestration("Race", func(o *pawl.Context, _ struct{}) (string, error) {
			render := pawl.ActivityByName[string](o, "Render", "scene", pawl.ActivityOptions{Tag: "gpu"})
			if first, err := pawl.Select(render, pawl.Timer(o, 50*time.Millisecond)); err != nil || first != 1 {
				return "", fmt.Errorf("winner %d: %w", first, err)
			}
			return "nobody has a gpu", nil
		}))
	limit := begin[string](w, app, "Limit", struct{}{}, "limit")
	expect(w, begin[string](w, app, "Race", struct{}{}, "race"), "nobody has a gpu")
	expect(w, limit, "scene on here")
}

func tagCooperation(w *world) {
	// Neither process could do it alone: one has the orchestration and one tag, the other only another tag.
	app := w.app(&pawl.Options{Tags: []string{"cpu"}}, activity("Step", where("cpu")),
		orchestration("Relay", func(o *pawl.Context, job string) (string, error) {
			for _, tag := range []string{"cpu", "gpu", "cpu"} {
				done, err := pawl.ActivityByName[string](o, "Step", job, pawl.ActivityOptions{Tag: tag}).Await()
				if err != nil {
					return "", err
				}
				job = done
			}
			return job, nil
		}))
	w.app(&pawl.Options{Tags: []string{"gpu"}}, activity("Step", where("gpu")))
	expect(w, begin[string](w, app, "Relay", "job", "relay"), "job on cpu on gpu on cpu")
}

func valueRequestResponse(w *world) {
	app := w.app(nil, orchestration("Server", func(o *pawl.Context, _ struct{}) (string, error) {
		for {
			request, err := pawl.Event[string](o, "request").Await()
			if err != nil {
				return "", err
			}
			if request == "stop" {
				return "stopped", nil
			}
			if err := pawl.SetValue(o, "response:"+request, "answer to "+request); err != nil {
				return "", err
			}
			if err := pawl.SetCustomStatus(o, request); err != nil {
				return "", err
			}
		}
	}))
	run := begin[string](w, app, "Server", struct{}{}, "server")
	version := int64(0)
	for _, request := range []string{"one", "two"} {
		if _, ok, err := pawl.ReadValue[string](w.ctx, app, "server", "response:"+request); ok || err != nil {
			w.Errorf("an answer before the question: %v, %v", ok, err)
		}
		w.tell(app, "server", "request", request)
		_, v, err := pawl.WaitForStatus[string](w.ctx, app, "server", version)
		if err != nil {
			w.Fatal(err)
		}
		version = v
		answer, ok, err := pawl.ReadValue[string](w.ctx, app, "server", "response:"+request)
		if answer != "answer to "+request || !ok || err != nil {
			w.Errorf("response %q, %v, %v", answer, ok, err)
		}
	}
	w.tell(app, "server", "request", "stop")
	expect(w, run, "stopped")
	values, err := app.ReadValues(w.ctx, "server")
	if err != nil || len(values) != 2 || string(values["response:one"]) != `"answer to one"` {
		w.Errorf("values after the end: %s, %v", values, err)
	}
}

func valueAcross(w *world) {
	var app *pawl.App
	started := make(chan struct{})
	app = w.app(nil,
		activity("ReadFrom", func(ctx context.Context, id string) (int, error) {
			<-started
			n, ok, err := pawl.ReadValue[int](ctx, app, id, "progress")
			if err == nil && !ok {
				n = -1
			}
			return n, err
		}),
		orchestration("Producer", func(o *pawl.Context, n int) (string, error) {
			if err := pawl.SetValue(o, "progress", n); err != nil {
				return "", err
			}
			return pawl.Event[string](o, "end").Await()
		}),
		orchestration("Reader", func(o *pawl.Context, id string) (int, error) {
			return pawl.ActivityByName[int](o, "ReadFrom", id).Await()
		}))
	close(started)
	producer := begin[string](w, app, "Producer", 42, "producer")
	w.eventually("the value is there", func() bool {
		_, ok, err := pawl.ReadValue[int](w.ctx, app, "producer", "progress")
		return ok && err == nil
	})
	expect(w, begin[int](w, app, "Reader", "producer", "reader"), 42)
	w.tell(app, "producer", "end", "over")
	expect(w, producer, "over")
	expect(w, begin[int](w, app, "Reader", "producer", "late reader"), 42)
	expect(w, begin[int](w, app, "Reader", "reader", "reader of nothing"), -1)
	expectError(w, begin[int](w, app, "Reader", "nobody", "reader of nobody"), pawl.ErrNotFound)
}

func valueCounter(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, activity("Nothing", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }),
		orchestration("Counter", func(o *pawl.Context, rounds int) (int, error) {
			var n int
			for range 3 {
				old, _, err := pawl.Value[int](o, "n")
				if err != nil {
					return 0, err
				}
				n = old + 1
				if err := pawl.SetValue(o, "n", n); err != nil {
					return 0, err
				}
				if _, err := pawl.ActivityByName[struct{}](o, "Nothing", struct{}{}).Await(); err != nil {
					return 0, err
				}
			}
			if rounds > 1 {
				return 0, pawl.ContinueAsNew(rounds - 1)
			}
			return n, nil
		}))
	expect(w, begin[int](w, app, "Counter", 4, "counter"), 12)
	if n, ok, err := pawl.ReadValue[int](w.ctx, app, "counter", "n"); n != 12 || !ok || err != nil {
		w.Errorf("value at the end: %d, %v, %v", n, ok, err)
	}
}

func statistics(w *world) {
	app := w.app(nil, activity("Upper", upper), orchestration("Stats", func(o *pawl.Context, _ struct{}) (int, error) {
		for _, key := range []string{"a", "b", "c"} {
			if err := pawl.SetValue(o, key, key); err != nil {
				return 0, err
			}
		}
		pawl.DeleteValue(o, "b")
		if _, err := pawl.ActivityByName[string](o, "Upper", "x").Await(); err != nil {
			return 0, err
		}
		if err := pawl.SetCustomStatus(o, "half"); err != nil {
			return 0, err
		}
		return o.HistoryLength(), nil
	}))
	length, err := begin[int](w, app, "Stats", struct{}{}, "stats").Result(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	instance := w.describe(app, "stats")
	if length < 4 || instance.Events <= length {
		w.Errorf("%d events while it ran, %d at the end", length, instance.Events)
	}
	check(w, "status version", instance.StatusVersion, int64(1))
	check(w, "executions", instance.Execution, 1)
	values, err := app.ReadValues(w.ctx, "stats")
	if err != nil || len(values) != 2 {
		w.Errorf("values %s, %v", values, err)
	}
}
