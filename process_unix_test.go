//go:build unix

package pawl_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
)

// TestFrozenProcess: a process that stops for longer than its leases live and then goes on cannot record what it did.
func TestFrozenProcess(t *testing.T) {
	onProcessStores(t, func(w *world, store string) {
		e := errand{Log: filepath.Join(w.TempDir(), "log"), Gate: filepath.Join(w.TempDir(), "gate")}
		frozen := w.spawn(store)
		client := w.app(nil)
		run := start(w, client, runErrand, e, "errand")
		w.eventually("activity begun", func() bool { return len(e.lines("begin")) == 1 })
		frozen.Process.Signal(syscall.SIGSTOP)
		rescuer := w.app(nil, registerPatient)
		w.eventually("activity begun again", func() bool { return len(e.lines("begin")) == 2 })
		note(e.Gate, "open")
		if by := result(w, run); by != os.Getpid() {
			w.Errorf("result by process %d", by)
		}
		before, err := client.Describe(w.ctx, "errand")
		if err != nil {
			w.Fatal(err)
		}
		frozen.Process.Signal(syscall.SIGCONT)
		w.eventually("the frozen activity ended too", func() bool { return len(e.lines(fmt.Sprint("end ", frozen.Process.Pid))) == 1 })
		// Its late result is refused. That it then serves again as a new worker shows that it got there.
		if err := rescuer.Stop(w.ctx); err != nil {
			w.Fatal(err)
		}
		if got := result(w, start(w, client, helloWorld, "again", "again")); got != "Hello, again!" {
			w.Errorf("got %q", got)
		}
		after, err := client.Describe(w.ctx, "errand")
		if err != nil || !reflect.DeepEqual(after, before) {
			w.Errorf("instance changed after its end: %+v, then %+v (%v)", before, after, err)
		}
	})
}
