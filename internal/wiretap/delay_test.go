package wiretap

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// arrivals notes what arrives and when.
type arrivals struct {
	begun time.Time
	got   []arrival
}

type arrival struct {
	after time.Duration
	text  string
}

func (a *arrivals) Write(b []byte) (int, error) {
	a.got = append(a.got, arrival{time.Since(a.begun), string(b)})
	return len(b), nil
}

// In virtual time, so exactly: each chunk is late by half a round trip, and none waits for the one before.
func TestPipelinedChunksTravelTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delay := 80 * time.Millisecond
		dst := &arrivals{begun: time.Now()}
		l := newLine(dst, func() time.Duration { return delay })
		for i, text := range []string{"a", "b", "c"} {
			if i > 0 {
				<-time.After(10 * time.Millisecond)
			}
			if _, err := l.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		delay = 0 // the fourth may not overtake
		if _, err := l.Write([]byte("d")); err != nil {
			t.Fatal(err)
		}
		l.close()
		want := []arrival{{40 * time.Millisecond, "a"}, {50 * time.Millisecond, "b"}, {60 * time.Millisecond, "cd"}}
		if !slices.Equal(dst.got, want) {
			t.Errorf("arrived: %v, want %v", dst.got, want)
		}
	})
}

// deaf is a receiver that is gone.
type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, net.ErrClosed }

// A sender must learn that the receiver is gone instead of waiting for room for ever.
func TestReceiverIsGone(t *testing.T) {
	l := newLine(deaf{}, func() time.Duration { return 0 })
	var err error
	for range 2*lineChunks + 1 {
		if _, err = l.Write([]byte("x")); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("everything was taken, though nobody receives it")
	}
	l.close()
}
