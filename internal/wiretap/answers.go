package wiretap

import (
	"encoding/binary"
	"io"
)

// readyForQuery is the type of the message that ends an answer.
const readyForQuery = 'Z'

// answers relays what the server sends and notes where an answer ends, before the client can know.
type answers struct {
	client io.Writer
	s      *session
	header []byte // as much as there is of the header of a message
	body   int    // bytes still to come of the body of a message
}

// Write implements io.Writer.
func (a *answers) Write(b []byte) (int, error) {
	a.s.p.mu.Lock()
	plain := a.s.plain
	a.s.p.mu.Unlock()
	if plain { // else it is a refusal of encryption, one byte without a header, or nothing that could be read
		a.scan(b)
	}
	return a.client.Write(b)
}

// scan follows the boundaries of messages.
func (a *answers) scan(b []byte) {
	for len(b) > 0 {
		if a.body > 0 {
			n := min(a.body, len(b))
			a.body -= n
			b = b[n:]
			continue
		}
		n := min(5-len(a.header), len(b))
		a.header = append(a.header, b[:n]...)
		b = b[n:]
		if len(a.header) < 5 {
			return
		}
		if a.header[0] == readyForQuery {
			a.s.answered()
		}
		a.body = int(binary.BigEndian.Uint32(a.header[1:])) - 4
		a.header = a.header[:0]
	}
}
