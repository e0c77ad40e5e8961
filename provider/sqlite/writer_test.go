package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/pawlrun/pawl/provider"
)

var errOnPurpose = errors.New("on purpose")

// TestSharedCommit checks that calls which wait while another one runs share its transaction, and that one of them
// failing takes nothing from the others.
func TestSharedCommit(t *testing.T) {
	for _, path := range []string{Memory, filepath.Join(t.TempDir(), "pawl.db")} {
		p, err := Open(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		begun, proceed := make(chan struct{}), make(chan struct{})
		first := make(chan error, 1)
		go func() {
			_, err := p.writer.do(context.Background(), durable, func(t *tx) {
				close(begun)
				<-proceed
				t.insert(insertClass, 1, "first", "", "", 0)
			})
			first <- err
		}()
		<-begun
		const others = 9
		ends := make(chan error, others)
		for n := range others {
			go func() {
				_, err := p.writer.do(context.Background(), durable, func(t *tx) {
					t.insert(insertClass, 1, string(rune('a'+n)), "", "", 0)
					if n%3 == 0 {
						t.fail(errOnPurpose)
					}
				})
				ends <- err
			}()
		}
		for len(p.writer.queue) < others { // they are about to queue
			select {
			case err := <-ends:
				t.Fatal("a call ended before it could begin", err)
			default:
			}
		}
		close(proceed)
		if err := <-first; err != nil {
			t.Error(err)
		}
		failed := 0
		for range others {
			if err := <-ends; errors.Is(err, errOnPurpose) {
				failed++
			} else if err != nil {
				t.Error(err)
			}
		}
		var stored int
		err = p.read(t.Context(), "test", 1, `SELECT count(*) FROM class`, nil, scanInto(&stored))
		if failed != 3 || stored != 1+others-3 || err != nil {
			t.Errorf("%d calls failed, %d rows stored, %v", failed, stored, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestQueuedCallIsTakenBack checks that a call whose context ends while it waits never runs.
func TestQueuedCallIsTakenBack(t *testing.T) {
	p, err := Open(t.Context(), Memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	begun, proceed := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := p.writer.do(context.Background(), durable, func(*tx) { close(begun); <-proceed })
		first <- err
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := p.writer.do(ctx, durable, func(*tx) { t.Error("the call ran") })
		second <- err
	}()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(proceed)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		want provider.Retry
	}{
		{context.Canceled, provider.RetryCall},
		{context.DeadlineExceeded, provider.RetryCall},
		{errClosed, provider.GiveUp},
		{errOnPurpose, provider.GiveUp},
	} {
		var e *provider.Error
		if err := classify("op", c.err); !errors.As(err, &e) || e.Retry != c.want || e.Op != "op" || !errors.Is(err, c.err) {
			t.Errorf("%v became %#v", c.err, err)
		}
	}
}

// TestBusyIsRetryable checks the error of a call that waits too long for another process.
func TestBusyIsRetryable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pawl.db")
	holder, err := Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	waiter, err := Open(t.Context(), path, &Options{BusyTimeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer waiter.Close()
	begun, proceed := make(chan struct{}), make(chan struct{})
	held := make(chan error, 1)
	go func() {
		_, err := holder.writer.do(context.Background(), durable, func(*tx) { close(begun); <-proceed })
		held <- err
	}()
	<-begun
	_, err = waiter.Pulse(t.Context(), &provider.PulseRequest{})
	var e *provider.Error
	if !errors.As(err, &e) || e.Retry != provider.RetryCall || e.Code != "SQLITE_BUSY" {
		t.Errorf("got %v", err)
	}
	close(proceed)
	if err := <-held; err != nil {
		t.Error(err)
	}
	// The lock may be felt for a moment after the commit: repeating is what a caller does then.
	for {
		_, err := waiter.Pulse(t.Context(), &provider.PulseRequest{})
		if err == nil {
			break
		}
		if !provider.Retryable(err) || t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}
