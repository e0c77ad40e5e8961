package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pawlrun/pawl"
)

// parcel is an orchestration whose attributes change: its stage with each event, until one says that it has arrived.
func parcel(o *pawl.Context, start int) (string, error) {
	city, _, err := pawl.Value[string](o, "city")
	if err != nil {
		return "", err
	}
	for n := start; ; n++ {
		stage, err := pawl.Event[string](o, "stage").Await()
		if err != nil {
			return "", err
		}
		if stage == "lost" {
			pawl.DeleteValue(o, "stage")
			continue
		}
		if stage == "secret" {
			err = pawl.SetValue(o, "stage", stage)
		} else {
			err = pawl.SetAttribute(o, "stage", stage)
		}
		switch {
		case err != nil:
			return "", err
		case stage == "again":
			return "", pawl.ContinueAsNew(n)
		case stage == "arrived":
			return city, nil
		}
	}
}

// listed are the ids that a listing finds, newest first.
func (w *world) listed(app *pawl.App, opts *pawl.ListOptions) string {
	w.Helper()
	instances, _, err := app.List(w.ctx, opts)
	if err != nil {
		w.Fatal(err)
	}
	var ids []string
	for _, in := range instances {
		ids = append(ids, in.InstanceID)
	}
	return strings.Join(ids, " ")
}

// has are options for instances with attributes, given as key and value in turn.
func has(pairs ...any) *pawl.ListOptions {
	attributes := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		attributes[pairs[i].(string)] = pairs[i+1]
	}
	return &pawl.ListOptions{Attributes: attributes}
}

// attributesFound: many instances, started here and by a client, found by two attributes, those of their start and those that
// the code has set since, while they run and after their end.
func attributesFound(w *world) {
	const n = 30
	w.app(nil, orchestration(parcel))
	client := w.app(nil)
	day := time.Date(2026, 11, 23, 8, 0, 0, 0, time.FixedZone("east", 7200))
	for i := range n {
		opts := &pawl.StartOptions{InstanceID: fmt.Sprintf("p%02d", i), Memo: map[string]any{"weights": []int{i, i}}, Attributes: map[string]any{
			"city": []string{"Bonn", "Köln <&>"}[i%2], "size": i % 3, "fragile": i%5 == 0, "due": day.AddDate(0, 0, i)}}
		if _, err := pawl.Start(w.ctx, client, parcel, 0, opts); err != nil {
			w.Fatal(err)
		}
	}
	expect := w.expectListed(client)
	expect("p28 p22 p16 p10 p04", has("city", "Bonn", "size", 1))
	expect("p25 p15 p05", has("city", "Köln <&>", "fragile", true))
	expect("p25", has("city", "Köln <&>", "fragile", true, "size", 1.0))
	expect("p03", has("due", day.AddDate(0, 0, 3).UTC()))
	expect("", has("city", "Bonn", "size", 3))
	expect("", has("weights", "[1,1]"))
	expect("", has("city", "bonn"))
	var paged []string
	opts := has("city", "Bonn")
	for opts.Limit = 4; ; {
		page, cursor, err := client.List(w.ctx, opts)
		if err != nil {
			w.Fatal(err)
		}
		for _, in := range page {
			paged = append(paged, in.InstanceID)
		}
		if opts.Before = cursor; cursor == "" {
			break
		}
	}
	if len(paged) != n/2 || !slices.IsSortedFunc(paged, func(a, b string) int { return strings.Compare(b, a) }) {
		w.Errorf("paged %q", paged)
	}
	weights, ok, err := pawl.ReadValue[[]int](w.ctx, client, "p07", "weights")
	if err != nil || !ok || !slices.Equal(weights, []int{7, 7}) {
		w.Errorf("weights %v, %v, %v", weights, ok, err)
	}
	due, ok, err := pawl.ReadValue[time.Time](w.ctx, client, "p07", "due")
	if err != nil || !ok || !due.Equal(day.AddDate(0, 0, 7)) {
		w.Errorf("due %v, %v, %v", due, ok, err)
	}
	attributesChanged(w, client)
}

// expectListed makes a check that a listing finds these instances.
func (w *world) expectListed(app *pawl.App) func(want string, opts *pawl.ListOptions) {
	return func(want string, opts *pawl.ListOptions) {
		w.Helper()
		if got := w.listed(app, opts); got != want {
			w.Errorf("found %q by %v, want %q", got, opts.Attributes, want)
		}
	}
}

// attributesChanged goes on with the parcels of attributesFound.
func attributesChanged(w *world, client *pawl.App) {
	expect := w.expectListed(client)
	become := func(want string, opts *pawl.ListOptions) {
		w.Helper()
		w.eventually(fmt.Sprintf("%q is found by %v", want, opts.Attributes), func() bool { return w.listed(client, opts) == want })
	}
	for _, id := range []string{"p04", "p10", "p11"} {
		w.raise(client, id, "stage", "sorted")
	}
	become("p10 p04", has("city", "Bonn", "stage", "sorted"))
	become("p11", has("city", "Köln <&>", "stage", "sorted"))
	w.raise(client, "p04", "stage", "again", "loaded") // continues as new in between
	become("p04", has("stage", "loaded", "city", "Bonn"))
	expect("p10", has("city", "Bonn", "stage", "sorted"))
	w.raise(client, "p10", "stage", "secret")
	w.raise(client, "p11", "stage", "lost")
	become("", has("stage", "sorted"))
	expect("", has("stage", "secret"))
	w.raise(client, "p04", "stage", "arrived")
	run, err := pawl.Attach[string](client, "p04")
	if err != nil {
		w.Fatal(err)
	}
	if city := result(w, run); city != "Bonn" { // in the second execution the code has it still
		w.Errorf("city %q", city)
	}
	expect("p04", has("stage", "arrived", "city", "Bonn", "size", 1))
	if err := client.Terminate(w.ctx, "p10", "enough", nil); err != nil {
		w.Fatal(err)
	}
	ended := has("city", "Bonn", "size", 1)
	ended.Status = "terminated"
	expect("p10", ended)
	ended.Status, ended.Prefix, ended.Name = "completed", "p0", "parcel"
	expect("p04", ended)
	if in, _, err := client.List(w.ctx, ended); err != nil || in[0].Status != "completed" || in[0].EndedAt.IsZero() || in[0].Name != "parcel" {
		w.Errorf("%+v, %v", in, err)
	}
}

// depot starts parcels as children and detached, with values of their own, and returns what limits have refused.
func depot(o *pawl.Context, _ string) ([]string, error) {
	var refused []string
	begin := func(i int) map[string]any {
		return map[string]any{"city": fmt.Sprint("city ", i), "from": o.InstanceID()}
	}
	var children []*pawl.Future[string]
	for i := range 3 {
		children = append(children, pawl.SubOrchestration(o, parcel, 0, &pawl.ChildOptions{InstanceID: fmt.Sprint("c", i), Attributes: begin(i), Memo: map[string]any{"n": i}}))
	}
	if _, err := pawl.StartDetached(o, parcel, 0, &pawl.DetachedOptions{InstanceID: "d", Attributes: begin(3)}); err != nil {
		return nil, err
	}
	_, err := pawl.SubOrchestration(o, parcel, 0, &pawl.ChildOptions{Attributes: map[string]any{"city": strings.Repeat("x", 300)}}).Await()
	refused = append(refused, fmt.Sprint(err))
	_, err = pawl.StartDetached(o, parcel, 0, &pawl.DetachedOptions{Memo: map[string]any{"": 1}})
	refused = append(refused, fmt.Sprint(err))
	for _, c := range children {
		city, err := c.Await()
		if err != nil {
			return nil, err
		}
		refused = append(refused, city)
	}
	return refused, nil
}

func attributesOfChildren(w *world) {
	first := w.app(nil, orchestration(depot), orchestration(parcel))
	start(w, first, depot, "", "depot")
	w.eventually("all are there", func() bool { return w.listed(first, has("from", "depot")) != "" })
	got := strings.Fields(w.listed(first, has("from", "depot")))
	slices.Sort(got)
	if !slices.Equal(got, []string{"c0", "c1", "c2", "d"}) {
		w.Errorf("found %q", got)
	}
	if got := w.listed(first, has("from", "depot", "city", "city 1")); got != "c1" {
		w.Errorf("found %q", got)
	}
	if n, ok, err := pawl.ReadValue[int](w.ctx, first, "c2", "n"); n != 2 || !ok || err != nil {
		w.Errorf("n is %d, %v, %v", n, ok, err)
	}
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(depot), orchestration(parcel)) // replays
	for _, id := range []string{"c0", "c1", "c2", "d"} {
		w.raise(second, id, "stage", "arrived")
	}
	run, err := pawl.Attach[[]string](second, "depot")
	if err != nil {
		w.Fatal(err)
	}
	told := result(w, run)
	want := []string{"attribute \"city\": 302 is over the limit of 246", "DetachedOptions.Memo: invalid argument: key of a value is empty", "city 0", "city 1", "city 2"}
	for i := range want {
		if len(told) != len(want) || !strings.Contains(told[i], want[i]) {
			w.Fatalf("told %q, want %q", told, want)
		}
	}
}

// tag tries attributes that are none.
func tag(o *pawl.Context, _ string) ([]string, error) {
	var told []string
	for _, v := range []any{nil, []int{1}, math.NaN(), struct{}{}, strings.Repeat("x", 245), strings.Repeat("x", 244), 1} {
		err := pawl.SetAttribute(o, "k", v)
		told = append(told, fmt.Sprintf("%t %t", errors.Is(err, pawl.ErrInvalid), errors.Is(err, pawl.ErrLimit)))
	}
	_, err := pawl.Event[string](o, "end").Await()
	return told, err
}

func attributesRefused(w *world) {
	app := w.app(&pawl.Options{Limits: pawl.Limits{Values: 3, ValueBytes: 300}}, orchestration(tag))
	try := func(opts pawl.StartOptions) error {
		opts.InstanceID = "refused"
		_, err := pawl.Start(w.ctx, app, tag, "", &opts)
		return err
	}
	for _, c := range []struct {
		opts pawl.StartOptions
		is   error
		want string
	}{
		{pawl.StartOptions{Attributes: map[string]any{"k": []string{"a"}}}, pawl.ErrInvalid, `StartOptions.Attributes: invalid argument: attribute "k" is a []string: neither a string`},
		{pawl.StartOptions{Attributes: map[string]any{"k": nil}}, pawl.ErrInvalid, `attribute "k"`},
		{pawl.StartOptions{Attributes: map[string]any{"k\x00": 1}}, pawl.ErrInvalid, "NUL"},
		{pawl.StartOptions{Memo: map[string]any{"": 1}}, pawl.ErrInvalid, "StartOptions.Memo: invalid argument: key of a value is empty"},
		{pawl.StartOptions{Memo: map[string]any{"k": func() {}}}, pawl.ErrBadPayload, "StartOptions.Memo: encode value k"},
		{pawl.StartOptions{Memo: map[string]any{"k": 1}, Attributes: map[string]any{"k": 2}}, pawl.ErrInvalid, `key "k" is in Memo too`},
		{pawl.StartOptions{Attributes: map[string]any{"k": strings.Repeat("x", 245)}}, pawl.ErrLimit, `attribute "k": 247 is over the limit of 246`},
		{pawl.StartOptions{Memo: map[string]any{"k": strings.Repeat("x", 299)}}, pawl.ErrLimit, `value "k": 301 is over the limit of 300 (Options.Limits.ValueBytes)`},
		{pawl.StartOptions{Memo: map[string]any{strings.Repeat("k", 256): 1}}, pawl.ErrLimit, `256 is over the limit of 255 (Options.Limits.ValueKeyBytes)`},
		{pawl.StartOptions{Memo: map[string]any{"a": 1, "b": 1}, Attributes: map[string]any{"c": 1, "d": 1}}, pawl.ErrLimit,
			`number of values: 4 is over the limit of 3 (Options.Limits.Values)`},
	} {
		if err := try(c.opts); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			w.Errorf("start with %v: %v, want %s", c.opts, err, c.want)
		}
	}
	for _, c := range []struct {
		opts pawl.ListOptions
		want string
	}{
		{pawl.ListOptions{Limit: -1}, "ListOptions.Limit is -1, it must be from 1 to 1000"},
		{pawl.ListOptions{Limit: 1001}, "ListOptions.Limit is 1001"},
		{pawl.ListOptions{Status: "odd"}, `ListOptions.Status is "odd"`},
		{pawl.ListOptions{Before: "odd"}, `ListOptions.Before "odd"`},
		{pawl.ListOptions{Prefix: "a\x00"}, "ListOptions.Prefix"},
		{*has("k", struct{}{}), `ListOptions.Attributes: invalid argument: attribute "k"`},
		{*has("", 1), "key of a value is empty"},
	} {
		if _, _, err := app.List(w.ctx, &c.opts); !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			w.Errorf("list by %+v: %v, want %s", c.opts, err, c.want)
		}
	}
	if got := w.listed(app, nil); got != "" {
		w.Errorf("instances %q", got)
	}
	run := start(w, app, tag, "", "tag")
	w.raise(app, "tag", "end", "")
	want := []string{"true false", "true false", "true false", "true false", "false true", "false false", "false false"}
	if got := result(w, run); !slices.Equal(got, want) {
		w.Errorf("told %q, want %q", got, want)
	}
	if got := w.listed(app, has("k", 1)); got != "tag" {
		w.Errorf("found %q", got)
	}
}

// attributesReplaced: a start that attaches leaves values alone, one that replaces begins with its own.
func attributesReplaced(w *world) {
	app := w.app(nil, orchestration(parcel))
	begin := func(city string, reuse pawl.ReusePolicy) *pawl.Run[string] {
		w.Helper()
		run, err := pawl.Start(w.ctx, app, parcel, 0, &pawl.StartOptions{InstanceID: "p", Reuse: reuse, Attributes: map[string]any{"city": city}})
		if err != nil {
			w.Fatal(err)
		}
		return run
	}
	begin("Bonn", pawl.ReuseReject)
	run := begin("Köln", pawl.ReuseAttach)
	if got := w.listed(app, has("city", "Bonn")) + w.listed(app, has("city", "Köln")); got != "p" {
		w.Errorf("found %q", got)
	}
	w.raise(app, "p", "stage", "arrived")
	if got := result(w, run); got != "Bonn" {
		w.Errorf("city %q", got)
	}
	begin("Ulm", pawl.ReuseReplaceEnded)
	if got := w.listed(app, has("city", "Ulm")); got != "p" {
		w.Errorf("found %q", got)
	}
	if got := w.listed(app, has("city", "Bonn")) + w.listed(app, has("stage", "arrived")); got != "" {
		w.Errorf("found %q by what the instance before had", got)
	}
	canceled, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, _, err := app.List(canceled, nil); err == nil {
		w.Error("a listing under a cancelled context")
	}
}
