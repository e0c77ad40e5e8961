package pawl_test

import (
	"context"
	"slices"

	"github.com/pawlrun/pawl"
)

// described waits until an instance is described as it must be.
func (w *world) described(app *pawl.App, id, what string, as func(*pawl.Instance) bool) {
	w.Helper()
	var in *pawl.Instance
	w.eventually(id+" "+what, func() bool {
		var err error
		if in, err = app.Describe(w.ctx, id); err != nil {
			w.Fatal(err)
		}
		return as(in)
	})
	if in.Status != "running" || in.Parked != "" {
		w.Errorf("%s: %+v", what, in)
	}
}

// nobodyRunsIt: an instance without a worker is described as such, and goes on once there is one.
func nobodyRunsIt(w *world) {
	workers := func(n int) func(*pawl.Instance) bool {
		return func(in *pawl.Instance) bool { return in.Workers == n && len(in.Unserved) == 0 }
	}
	client := w.app(nil, orchestration(orderV2, pawl.Name("order"), pawl.Version("1.10.0")))
	run, err := pawl.StartByName[string](w.ctx, client, "order", "", &pawl.StartOptions{InstanceID: "o", Version: "1.2.0"})
	if err != nil {
		w.Fatal(err)
	}
	w.described(client, "o", "without a worker of its version", workers(0))
	if _, err := pawl.StartByName[string](w.ctx, client, "order", "wait", &pawl.StartOptions{InstanceID: "p"}); err != nil {
		w.Fatal(err)
	}
	w.described(client, "p", "with a worker", workers(1))
	second := w.app(nil, orchestration(orderV1, pawl.Name("order"), pawl.Version("1.2.0")),
		orchestration(orderV2, pawl.Name("order"), pawl.Version("1.10.0")))
	w.described(client, "p", "with two workers", workers(2))
	if got := result(w, run); got != "1.2.0" {
		w.Errorf("result %q", got)
	}
	if in, err := client.Describe(w.ctx, "o"); err != nil || in.Workers != -1 {
		w.Errorf("ended: %+v, %v", in, err)
	}
	if err := second.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	w.described(client, "p", "when one has stopped", workers(1))
}

// shipped schedules activities of which most are run by nobody.
func shipped(o *pawl.Context, _ string) (string, error) {
	opts := pawl.ActivityOptions{Tag: "van"}
	all, err := pawl.All(
		pawl.ActivityByName[string](o, "pack", "1"), pawl.ActivityByName[string](o, "pack", "2"), pawl.ActivityByName[string](o, "drive", "3", opts),
		pawl.ActivityByName[string](o, "drive", "4"), pawl.ActivityByName[string](o, "here", "5"))
	slices.Sort(all)
	return slices.Max(all), err
}

// nobodyRunsActivities: activities that no worker has, or not with their tag, are named until one has.
func nobodyRunsActivities(w *world) {
	run := func(_ context.Context, in string) (string, error) { return in, nil }
	app := w.app(nil, orchestration(shipped), activity(run, pawl.Name("here")), activity(run, pawl.Name("drive")))
	r := start(w, app, shipped, "", "s")
	unserved := func(want ...pawl.UnservedActivity) func(*pawl.Instance) bool {
		return func(in *pawl.Instance) bool { return in.Workers > 0 && slices.Equal(in.Unserved, want) }
	}
	w.described(app, "s", "waits for a tag and an activity", unserved(pawl.UnservedActivity{Name: "drive", Tag: "van"}, pawl.UnservedActivity{Name: "pack"}))
	w.app(&pawl.Options{Tags: []string{"van"}}, activity(run, pawl.Name("drive")))
	w.described(app, "s", "waits for an activity", unserved(pawl.UnservedActivity{Name: "pack"}))
	w.app(nil, activity(run, pawl.Name("pack")))
	if got := result(w, r); got != "5" {
		w.Errorf("result %q", got)
	}
}
