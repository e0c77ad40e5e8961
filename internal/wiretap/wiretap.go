// Package wiretap is a proxy for PostgreSQL's wire protocol that counts what really crosses the network: round trips and
// statements, by connection, as the client sends them. It can also cut connections and delay traffic. Counts that Pawl
// promises are asserted on what it saw, not on what the client library says it did.
//
// It understands the frontend messages of protocol 3 on unencrypted connections. Encrypted ones it relays as they are and
// says how many there were, for their round trips are not in the counts. It knows nothing of Pawl.
package wiretap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Statement is one statement a client had executed.
type Statement struct {
	Conn int    // connection, numbered from 1 in order of opening
	SQL  string // as prepared or sent
	At   time.Time
}

// Counts is what crossed the proxy since the last Reset.
type Counts struct {
	// RoundTrips counts the times a client asked and then waited: Sync messages and simple queries.
	RoundTrips int
	// Prepares counts round trips that only prepared a statement; they are part of RoundTrips.
	Prepares   int
	Statements []Statement
	// Waiting is how many round trips are under way now, whenever they began.
	Waiting int
	// Open is how many connections there are now, Opened how many of them and others began.
	Open, Opened int
	// Encrypted counts the connections, since the proxy was started, whose content could not be read.
	Encrypted int
}

// Proxy relays connections to one server.
type Proxy struct {
	listener net.Listener
	target   string
	tasks    sync.WaitGroup

	mu        sync.Mutex
	counts    Counts
	encrypted int
	waiting   int
	conns     map[int]net.Conn
	opened    int
	delay     time.Duration
	closed    bool
}

// Listen starts a proxy on a loopback port to the server at target: host:port, or the path of a Unix socket.
func Listen(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("wiretap: %w", err)
	}
	p := &Proxy{listener: l, target: target, conns: map[int]net.Conn{}}
	p.tasks.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Reset forgets what was counted.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts = Counts{}
}

// Counts returns what was counted since the last Reset.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts
	c.Statements = slices.Clone(c.Statements)
	c.Waiting, c.Open, c.Encrypted = p.waiting, len(p.conns), p.encrypted
	return c
}

// SetDelay makes a round trip take d longer, half of it in each direction. What is sent while something is on its way is
// not held up by it.
func (p *Proxy) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Cut breaks all connections, as a failing network does; new ones are accepted. It returns how many there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	return len(p.conns)
}

// Close ends the proxy and its connections and returns when all is gone.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.listener.Close()
	p.Cut()
	p.tasks.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.tasks.Go(func() { p.relay(client) })
	}
}

// relay serves one connection until either side ends it.
func (p *Proxy) relay(client net.Conn) {
	defer client.Close()
	network := "tcp"
	if strings.HasPrefix(p.target, "/") {
		network = "unix"
	}
	server, err := net.Dial(network, p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.opened++
	p.counts.Opened++
	id := p.opened
	p.conns[id] = client
	p.mu.Unlock()
	s := &session{p: p, id: id, prepared: map[string]string{}}
	defer s.end()
	back := make(chan struct{})
	go func() {
		defer close(back)
		// Noted at the client's end of the line: a round trip is over when the answer is there.
		down := newLine(&answers{client: client, s: s}, p.roundTripDelay)
		io.Copy(down, server)
		down.close()
		client.Close()
	}()
	up := newLine(server, p.roundTripDelay)
	s.forward(up, bufio.NewReader(client))
	up.close()
	server.Close()
	client.Close()
	<-back
}

// roundTripDelay is the delay of both directions together.
func (p *Proxy) roundTripDelay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

// session follows one connection's frontend messages.
type session struct {
	p        *Proxy
	id       int
	prepared map[string]string // statement name to SQL
	bound    string            // SQL of the portal bound last
	parsed   bool              // since the last Sync
	executed []string          // likewise

	// Of p.mu.
	plain    bool // the messages of both sides can be read
	greeted  bool // the server is ready for the first time
	awaiting int  // round trips under way
}

// end forgets the connection.
func (s *session) end() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	delete(s.p.conns, s.id)
	s.p.waiting -= s.awaiting
}

// forward relays frontend messages one by one, counting them.
func (s *session) forward(server io.Writer, client *bufio.Reader) {
	plain, err := s.startup(server, client)
	if err != nil {
		return
	}
	if !plain {
		s.p.mu.Lock()
		s.p.encrypted++
		s.p.mu.Unlock()
		client.WriteTo(server)
		return
	}
	header := make([]byte, 5)
	for {
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(header[1:])) - 4
		if n < 0 || n > 1<<30 {
			return
		}
		message := make([]byte, 5+n)
		copy(message, header)
		if _, err := io.ReadFull(client, message[5:]); err != nil {
			return
		}
		s.count(message[0], message[5:])
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

const (
	tlsHandshake = 0x16 // first byte of what a TLS client says
	// Requests for encryption, which have the place of a protocol version. After a refusal the client goes on in plain.
	sslRequest = 80877103
	gssRequest = 80877104
)

// startup relays the messages before the session, which have no type byte, and reports whether the session is in plain.
func (s *session) startup(server io.Writer, client *bufio.Reader) (plain bool, err error) {
	for {
		if first, err := client.Peek(1); err != nil || first[0] == tlsHandshake {
			return false, err
		}
		head := make([]byte, 8)
		if _, err := io.ReadFull(client, head); err != nil {
			return false, err
		}
		n := int(binary.BigEndian.Uint32(head))
		if n < 8 || n > 1<<16 {
			return false, errors.New("wiretap: bad startup message")
		}
		message := make([]byte, n)
		copy(message, head)
		if _, err := io.ReadFull(client, message[8:]); err != nil {
			return false, err
		}
		code := binary.BigEndian.Uint32(head[4:])
		plain := code != sslRequest && code != gssRequest
		if plain {
			s.p.mu.Lock()
			s.plain = true // before the server can answer
			s.p.mu.Unlock()
		}
		if _, err := server.Write(message); err != nil || plain {
			return plain, err
		}
	}
}

// count notes one message.
func (s *session) count(kind byte, body []byte) {
	p := s.p
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind {
	case 'P':
		name, rest := cString(body)
		s.prepared[name], _ = cString(rest)
		s.parsed = true
	case 'B':
		_, rest := cString(body)
		name, _ := cString(rest)
		s.bound = s.prepared[name]
	case 'E':
		s.executed = append(s.executed, s.bound)
	case 'Q':
		sql, _ := cString(body)
		s.asked(sql)
	case 'S':
		if s.parsed && len(s.executed) == 0 {
			p.counts.Prepares++
		}
		s.asked(s.executed...)
		s.parsed, s.executed = false, nil
	}
}

// asked notes that the client has sent statements and now waits for the answer. p.mu is held.
func (s *session) asked(statements ...string) {
	now := time.Now()
	for _, sql := range statements {
		s.p.counts.Statements = append(s.p.counts.Statements, Statement{s.id, sql, now})
	}
	s.p.counts.RoundTrips++
	s.awaiting++
	s.p.waiting++
}

// answered notes that the server is ready for the next message.
func (s *session) answered() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	switch {
	case !s.greeted:
		s.greeted = true
	case s.awaiting > 0:
		s.awaiting--
		s.p.waiting--
	}
}

// cString splits a zero-terminated string off.
func cString(b []byte) (string, []byte) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return string(b), nil
	}
	return string(b[:i]), b[i+1:]
}
