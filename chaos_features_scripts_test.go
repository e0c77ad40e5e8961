package pawl_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pawlrun/pawl"
)

// scripts are what clients do in the storm, by the name of what they are about: one or a few instances each, whose ends they
// tell the model. The error is what was not as it should be.
var scripts = map[string]func(s *storm, r *rand.Rand, id string) error{
	"retry": retryScript, "exhaust": exhaustScript, "heartbeat": heartbeatScript, "cancel": cancelScript, "eternal": eternalScript,
	"ledger": ledgerScript, "rally": rallyScript, "within": withinScript, "close": closeScript, "kill": killScript,
	"update": updateScript, "outside": outsideScript, "reuse": reuseScript, "outrun": outrunScript, "together": togetherScript,
}

// want waits for the result of a run.
func want[O comparable](s *storm, run *pawl.Run[O], err error, expected O) error {
	if err != nil {
		return err
	}
	got, err := run.Result(s.ctx)
	if err != nil || got != expected {
		return fmt.Errorf("result %v, %w; want %v", got, err, expected)
	}
	return nil
}

// fails waits for the failure of a run, which must match.
func fails[O any](s *storm, run *pawl.Run[O], match error) error {
	got, err := run.Result(s.ctx)
	if !errors.Is(err, match) {
		return fmt.Errorf("result %v, %v; want the error %w", got, err, match)
	}
	return nil
}

func retryScript(s *storm, r *rand.Rand, id string) error {
	c := chore{Log: s.log, N: r.IntN(6)}
	run, err := spring(s, triedAgain, c, "completed", &pawl.StartOptions{InstanceID: id})
	return want(s, run, err, c.N)
}

func exhaustScript(s *storm, _ *rand.Rand, id string) error {
	run, err := spring(s, triedAgain, chore{Log: s.log, N: 1000, Of: 3}, "failed", &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	_, err = run.Result(s.ctx)
	var failed *pawl.ActivityError
	if !errors.As(err, &failed) {
		return err
	}
	var try int
	if _, scan := fmt.Sscanf(failed.Err.Error(), "try %d", &try); scan != nil || try < 2 || failed.Attempts < try+1 {
		return fmt.Errorf("after %d attempts, want three tries or more: %w", failed.Attempts, err)
	}
	return nil
}

func heartbeatScript(s *storm, r *rand.Rand, id string) error {
	c := chore{Log: s.log, N: 20 + r.IntN(200)}
	run, err := spring(s, stepping, c, "completed", &pawl.StartOptions{InstanceID: id})
	return want(s, run, err, c.N)
}

// cancelledFor waits until an instance has ended for a reason.
func cancelledFor[O any](s *storm, run *pawl.Run[O], reason string) error {
	s.asked.Add(1)
	if err := s.client.Cancel(s.ctx, run.InstanceID(), reason); err != nil {
		return err
	}
	_, err := run.Result(s.ctx)
	var ce *pawl.CancelledError
	if !errors.Is(err, pawl.ErrCancelled) || !errors.As(err, &ce) || ce.Reason != reason {
		return fmt.Errorf("result %v, want cancelled for %q", err, reason)
	}
	if !strings.Contains(strings.Join(errand{Log: s.log}.lines("sweep "), "\n")+"\n", "sweep "+run.InstanceID()+"\n") {
		return errors.New("no clean-up")
	}
	return nil
}

func cancelScript(s *storm, r *rand.Rand, id string) error {
	s.ending(id+"/kid", "")
	run, err := spring(s, tidied, chore{Log: s.log}, "cancelled", &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	s.pause(r, 300*time.Millisecond)
	if err := cancelledFor(s, run, "enough "+id); err != nil {
		return err
	}
	if got, ok, err := pawl.ReadValue[string](s.ctx, s.client, id, "clean"); got != "swept" || !ok || err != nil {
		return fmt.Errorf("value set while cleaning up: %q, %v, %v", got, ok, err)
	}
	return nil
}

func eternalScript(s *storm, r *rand.Rand, id string) error {
	run, err := spring(s, eternal, chore{Log: s.log}, "cancelled", &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	s.pause(r, time.Second)
	if err := cancelledFor(s, run, "no more "+id); err != nil {
		return err
	}
	return s.pages(id, "round", 0)
}

// pages checks what an instance shows that sets its status and a value once in each execution. n is the number of those, 0
// if it is not known.
func (s *storm) pages(id, key string, n int) error {
	in, err := s.client.Describe(s.ctx, id)
	if err != nil {
		return err
	}
	if n == 0 {
		n = in.Execution
	}
	value, ok, err := pawl.ReadValue[int](s.ctx, s.client, id, key)
	status, version, statusErr := pawl.CustomStatus[int](s.ctx, s.client, id)
	if in.Execution != n || value != n || !ok || status != n || version != int64(n) || err != nil || statusErr != nil {
		return fmt.Errorf("execution %d, value %d, status %d in version %d, want all of them %d (%v, %v)", in.Execution, value, status, version, n, err, statusErr)
	}
	return nil
}

func ledgerScript(s *storm, r *rand.Rand, id string) error {
	c := chore{Of: 1 + r.IntN(8)}
	opts := &pawl.StartOptions{InstanceID: id, Memo: map[string]any{"memo": id}, Attributes: map[string]any{"page": "none"}}
	run, err := spring(s, ledger, c, "completed", opts)
	if err != nil {
		return err
	}
	for range r.IntN(3) {
		s.pause(r, 60*time.Millisecond)
		if err := s.client.Suspend(s.ctx, id, "let it wait"); errors.Is(err, pawl.ErrNotRunning) {
			break
		} else if err != nil {
			return err
		}
		s.pause(r, 60*time.Millisecond)
		if err := s.client.Resume(s.ctx, id); err != nil {
			return err // it cannot have ended meanwhile
		}
	}
	if err := want(s, run, nil, c.Of); err != nil {
		return err
	}
	if memo, ok, err := pawl.ReadValue[string](s.ctx, s.client, id, "memo"); memo != id || !ok || err != nil {
		return fmt.Errorf("memo %q, %v, %v", memo, ok, err)
	}
	for page := range c.Of + 1 {
		list, _, err := s.client.List(s.ctx, &pawl.ListOptions{Attributes: map[string]any{"page": fmt.Sprint(id, "/", page)}})
		if err != nil || (page == c.Of) != (len(list) == 1 && list[0].InstanceID == id) {
			return fmt.Errorf("instances on page %d of %d: %v, %v", page, c.Of, list, err)
		}
	}
	return s.pages(id, "written", c.Of)
}

func rallyScript(s *storm, r *rand.Rand, id string) error {
	m := match{Peer: id + "/server", To: 1 + r.IntN(20)}
	returns, err := spring(s, rally, m, "completed", &pawl.StartOptions{InstanceID: id + "/returner"})
	if err != nil {
		return err
	}
	m.Peer, m.Serves = id+"/returner", true
	serves, err := spring(s, rally, m, "completed", &pawl.StartOptions{InstanceID: id + "/server"})
	return errors.Join(want(s, serves, err, m.To), want(s, returns, nil, m.To))
}

func withinScript(s *storm, r *rand.Rand, id string) error {
	n := 1 + r.IntN(10)
	run, err := spring(s, impatient, n, "completed", &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	var expected []int
	for i := range n {
		s.pause(r, 50*time.Millisecond)
		expected = append(expected, i)
		message := fmt.Sprint("m-", i)
		for range 1 + r.IntN(2) {
			err := pawl.Raise(s.ctx, s.client, id, "item", i, &pawl.RaiseOptions{MessageID: message})
			if err != nil {
				return fmt.Errorf("item %d: %w", i, err)
			}
			s.asked.Add(1)
			if i == n-1 { // a second one may come after the end
				break
			}
		}
	}
	if got, err := run.Result(s.ctx); err != nil || fmt.Sprint(got) != fmt.Sprint(expected) {
		return fmt.Errorf("items %v, %v, want %v", got, err, expected)
	}
	return nil
}

// closeScript: each child has its fate, whatever the end of the parent.
func closeScript(s *storm, r *rand.Rand, id string) error {
	end := []string{"returns", "fails", "panics", "continues"}[r.IntN(4)]
	status := "completed"
	if end == "fails" || end == "panics" {
		status = "failed"
	}
	for child, status := range map[string]string{"cancel": "cancelled", "wait": "completed", "abandon": "completed", "detached": "completed"} {
		s.ending(id+"/"+child, status)
	}
	run, err := spring(s, closing, end, status, &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	for _, child := range []string{"/detached", "/wait", "/abandon"} {
		s.pause(r, 50*time.Millisecond)
		if err := s.tell(id+child, "go", "went on"); err != nil {
			return err
		}
		if got, err := attach(s.world, s.client, id+child).Result(s.ctx); err != nil || got != "went on" {
			return fmt.Errorf("%s: %q, %w", id+child, got, err)
		}
	}
	if _, err := run.Result(s.ctx); (err != nil) != (status == "failed") {
		return fmt.Errorf("the parent that %s: %w", end, err)
	}
	return fails(s, attach(s.world, s.client, id+"/cancel"), pawl.ErrCancelled)
}

// killScript terminates a child, a parent, or both.
func killScript(s *storm, r *rand.Rand, id string) error {
	s.ending(id+"/kid", "terminated")
	victim, status, match, opts := id, "terminated", pawl.ErrTerminated, &pawl.TerminateOptions{}
	how := r.IntN(4)
	switch how {
	case 0:
		victim, status = id+"/kid", "failed"
	case 1:
		opts.Children = true
	case 2:
		s.ending(id+"/kid", "completed")
	case 3: // the child is cancelled, and not the parent
		s.ending(id+"/kid", "cancelled")
		victim, status, match = id+"/kid", "failed", pawl.ErrCancelled
	}
	run, err := spring(s, guardian, "", status, &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	if err := s.exists(id + "/kid"); err != nil {
		return err
	}
	s.pause(r, 50*time.Millisecond)
	s.asked.Add(1)
	if how == 3 {
		err = s.client.Cancel(s.ctx, victim, "why not")
	} else {
		err = s.client.Terminate(s.ctx, victim, "why not", opts)
	}
	if err != nil {
		return err
	}
	if how == 2 {
		if err := s.tell(id+"/kid", "go", "orphan"); err != nil {
			return err
		}
		if got, err := attach(s.world, s.client, id+"/kid").Result(s.ctx); got != "orphan" || err != nil {
			return fmt.Errorf("the orphan: %q, %w", got, err)
		}
	}
	return fails(s, run, match)
}

// updateScript sends each update twice, at the same time or later.
func updateScript(s *storm, r *rand.Rand, id string) error {
	run, err := spring(s, account, 0, "completed", &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	deposit := func(i int) error {
		s.asked.Add(1)
		got, err := pawl.Update[int](s.ctx, s.client, id, "deposit", 1, &pawl.UpdateOptions{UpdateID: fmt.Sprint("u-", i)})
		if err != nil || got != i {
			return fmt.Errorf("update %d: answer %d, %w", i, got, err)
		}
		return nil
	}
	n := 1 + r.IntN(8)
	for i := 1; i <= n; i++ {
		var errs [2]error
		var both sync.WaitGroup
		for j := range errs {
			both.Go(func() { errs[j] = deposit(i) })
		}
		both.Wait()
		if err := errors.Join(errors.Join(errs[:]...), deposit(1+r.IntN(i))); err != nil {
			return err
		}
	}
	if got, err := pawl.Update[string](s.ctx, s.client, id, "close", "time", &pawl.UpdateOptions{UpdateID: "close"}); err != nil || got != "closed: time" {
		return fmt.Errorf("close: %q, %w", got, err)
	}
	return want(s, run, nil, n)
}

// outsideScript gives the result of an activity under the tokens of its attempts, until one of them counts.
func outsideScript(s *storm, r *rand.Rand, id string) error {
	e := errand{Log: filepath.Join(filepath.Dir(s.log), id)}
	refuse := r.IntN(3) == 0
	status := "completed"
	if refuse {
		status = "failed"
	}
	run, err := spring(s, runAsker, e.Log, status, &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	counted, tried := "", map[string]bool{}
	for counted == "" {
		s.pause(r, 40*time.Millisecond)
		if err := s.ctx.Err(); err != nil {
			return fmt.Errorf("none of %d tokens counts: %w", len(tried), err)
		}
		for _, line := range e.lines("token ") {
			token := strings.TrimPrefix(line, "token ")
			if tried[token] {
				continue
			}
			s.pause(r, 40*time.Millisecond)
			if refuse {
				err = pawl.FailActivity(s.ctx, s.client, token, errors.New("refused under "+token))
			} else {
				err = pawl.CompleteActivity(s.ctx, s.client, token, "granted under "+token)
			}
			switch tried[token] = true; {
			case err == nil && counted == "":
				counted = token
			case err == nil:
				return errors.New("two results count")
			case !errors.Is(err, pawl.ErrActivityGone):
				return err
			}
		}
	}
	if !refuse {
		return want(s, run, nil, "granted under "+counted)
	}
	if _, err = run.Result(s.ctx); err == nil || !strings.HasSuffix(err.Error(), "refused under "+counted) {
		return fmt.Errorf("result %w, want the refusal under %s", err, counted)
	}
	return nil
}

// reuseScript starts with events, starts again in all ways, and suspends.
func reuseScript(s *storm, r *rand.Rand, id string) error {
	opts := func(reuse pawl.ReusePolicy, items ...string) *pawl.StartOptions {
		o := &pawl.StartOptions{InstanceID: id, Reuse: reuse}
		for _, item := range items {
			name := "item"
			if strings.HasPrefix(item, "end") {
				name = "end"
			}
			o.Events = append(o.Events, pawl.StartEvent{Name: name, Payload: item, MessageID: item})
		}
		return o
	}
	first, err := spring(s, collect, 2, "completed", opts(pawl.ReuseReject, "a", "b"))
	if err != nil {
		return err
	}
	if _, err := spring(s, collect, 2, "completed", opts(pawl.ReuseAttach, "a", "b")); err != nil {
		return err
	}
	for _, reuse := range []pawl.ReusePolicy{pawl.ReuseReject, pawl.ReuseReplaceEnded} {
		if _, err := spring(s, collect, 2, "completed", opts(reuse, "x")); !errors.Is(err, pawl.ErrAlreadyExists) {
			return fmt.Errorf("start with policy %v: %w", reuse, err)
		}
	}
	s.pause(r, 50*time.Millisecond)
	if r.IntN(3) == 0 {
		again, err := spring(s, collect, 2, "completed", opts(pawl.ReuseTerminate, "c", "d", "end 2"))
		if err := want(s, again, err, "c,d,end 2"); err != nil {
			return err
		}
		if got, err := first.Result(s.ctx); !errors.Is(err, pawl.ErrTerminated) && !errors.Is(err, pawl.ErrNotFound) {
			return fmt.Errorf("the one that was replaced: %q, %w", got, err)
		}
		return nil
	}
	if err := s.client.Suspend(s.ctx, id, "lunch"); err != nil {
		return err
	}
	if err := s.tell(id, "end", "end 1"); err != nil {
		return err
	}
	s.pause(r, 100*time.Millisecond)
	if in, err := s.client.Describe(s.ctx, id); err != nil || in.Status != "running" || in.Parked == "" {
		return fmt.Errorf("suspended: %+v, %w", in, err)
	}
	if err := s.client.Resume(s.ctx, id); err != nil {
		return err
	}
	if err := want(s, first, nil, "a,b,end 1"); err != nil {
		return err
	}
	reuse := []pawl.ReusePolicy{pawl.ReuseReplaceEnded, pawl.ReuseAttachOrReplace, pawl.ReuseTerminate}[r.IntN(3)]
	again, err := spring(s, collect, 2, "completed", opts(reuse, "c", "d", "end 2"))
	return want(s, again, err, "c,d,end 2")
}

func outrunScript(s *storm, r *rand.Rand, id string) error {
	s.ending(id+"/kid", "cancelled")
	s.ending(id+"/later", "completed")
	c := chore{Log: s.log, N: r.IntN(4)}
	run, err := spring(s, outrun, c, "completed", &pawl.StartOptions{InstanceID: id})
	if err := want(s, run, err, c.N); err != nil {
		return err
	}
	if err := s.tell(id+"/later", "end", "end"); err != nil {
		return err
	}
	if err := want(s, attach(s.world, s.client, id+"/later"), nil, "end"); err != nil {
		return err
	}
	if n, ok, err := pawl.ReadValue[int](s.ctx, s.client, id+"/later", "n"); n != c.N || !ok || err != nil {
		return fmt.Errorf("memo of the detached: %d, %v, %v", n, ok, err)
	}
	return nil
}

// togetherScript has activities share a process, in some priority.
func togetherScript(s *storm, r *rand.Rand, id string) error {
	c := chore{Log: s.log, N: 2 + r.IntN(8)}
	priority := []pawl.Priority{"", pawl.PriorityLowest, pawl.PriorityHighest}[r.IntN(3)]
	run, err := spring(s, together, c, "completed", &pawl.StartOptions{InstanceID: id, Priority: priority})
	return want(s, run, err, c.N)
}
