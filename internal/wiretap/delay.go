package wiretap

import (
	"bytes"
	"io"
	"net"
	"time"
)

// line carries bytes in one direction. Each chunk arrives half a round trip after it was sent, whatever was sent before
// and is still on its way: as on a long wire, what is pipelined travels together.
type line struct {
	delay  func() time.Duration
	chunks chan chunk
	broken chan struct{} // closed when nothing more is delivered
}

// chunk is what was sent at once.
type chunk struct {
	due  time.Time
	data []byte
}

// lineChunks bounds what one direction holds: a sender that is faster than the receiver is held up, as by a full window.
const lineChunks = 4096

// newLine starts to deliver to dst what is written to the line, each chunk half of delay after it was written.
func newLine(dst io.Writer, delay func() time.Duration) *line {
	l := &line{delay: delay, chunks: make(chan chunk, lineChunks), broken: make(chan struct{})}
	go l.deliver(dst)
	return l
}

// Write sends a chunk; it implements io.Writer. An error means that the receiver is gone.
func (l *line) Write(b []byte) (int, error) {
	c := chunk{due: time.Now().Add(l.delay() / 2), data: bytes.Clone(b)}
	select {
	case l.chunks <- c:
		return len(b), nil
	case <-l.broken:
		return 0, net.ErrClosed
	}
}

// close ends the line once everything sent has arrived, or the receiver is gone. Nothing may be written afterwards.
func (l *line) close() {
	close(l.chunks)
	<-l.broken
}

// deliver writes chunks as they become due, those due together at once.
func (l *line) deliver(dst io.Writer) {
	defer close(l.broken)
	var next *chunk
	for {
		c := next
		next = nil
		if c == nil {
			received, ok := <-l.chunks
			if !ok {
				return
			}
			c = &received
		}
		if d := time.Until(c.due); d > 0 {
			t := time.NewTimer(d)
			<-t.C
		}
		data := c.data
		data, next = l.gather(data)
		if _, err := dst.Write(data); err != nil {
			return
		}
	}
}

// gather appends what is due already and returns the first chunk that is not.
func (l *line) gather(data []byte) ([]byte, *chunk) {
	now := time.Now()
	for {
		select {
		case c, ok := <-l.chunks:
			if !ok {
				return data, nil
			}
			if c.due.After(now) {
				return data, &c
			}
			data = append(data, c.data...)
		default:
			return data, nil
		}
	}
}
