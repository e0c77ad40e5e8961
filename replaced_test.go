package pawl_test

import (
	"context"

	"github.com/pawlrun/pawl"
)

func childThenKey(o *pawl.Context, in string) (string, error) {
	child, err := pawl.SubOrchestration(o, echoInput, in, nil).Await()
	if err != nil {
		return "", err
	}
	key, err := pawl.Activity(o, ownKey, in).Await()
	return child + " " + key, err
}

func echoInput(_ *pawl.Context, in string) (string, error) { return in, nil }

func ownKey(ctx context.Context, _ string) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	return info.IdempotencyKey, nil
}

// replacedDerivesAnew: what an instance derives from its id (ids of children, idempotency keys) is not what the one whose
// place it took has derived.
func replacedDerivesAnew(w *world) {
	app := w.app(nil, orchestration(childThenKey), orchestration(echoInput), activity(ownKey))
	client := w.app(nil)
	seen := map[string]bool{}
	for _, by := range []*pawl.App{app, client, app} {
		run, err := pawl.Start(w.ctx, by, childThenKey, "x", &pawl.StartOptions{InstanceID: "again", Reuse: pawl.ReuseReplaceEnded})
		if err != nil {
			w.Fatal(err)
		}
		got := result(w, run)
		if seen[got] {
			w.Errorf("%q again", got)
		}
		seen[got] = true
	}
}
