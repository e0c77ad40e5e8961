// Package wiretap is a proxy for PostgreSQL's wire protocol that counts what really crosses the network: round trips and
// statements, by connection, as the client sends them. It can also cut connections and delay traffic. Counts that Pawl
// promises are asserted on what it saw, not on what the client library says it did.
//
// It understands the frontend messages of protocol 3 on unencrypted connections (sslmode=disable) and relays all others
// untouched. It knows nothing of Pawl.
package wiretap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Statement is one statement a client had executed.
type Statement struct {
	Conn int    // connection, numbered from 1 in order of opening
	SQL  string // as prepared or sent
}

// Counts is what crossed the proxy since the last Reset.
type Counts struct {
	// RoundTrips counts the times a client asked and then waited: Sync messages and simple queries.
	RoundTrips int
	// Prepares counts round trips that only prepared a statement; they are part of RoundTrips.
	Prepares   int
	Statements []Statement
}

// Proxy relays connections to one server.
type Proxy struct {
	listener net.Listener
	target   string
	tasks    sync.WaitGroup

	mu     sync.Mutex
	counts Counts
	conns  map[int]net.Conn
	opened int
	delay  time.Duration
	closed bool
}

// Listen starts a proxy on a loopback port to the server at target (host:port).
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
	return c
}

// SetDelay delays everything the client sends by d: one round trip takes d longer.
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
	server, err := net.Dial("tcp", p.target)
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
	id := p.opened
	p.conns[id] = client
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, id)
		p.mu.Unlock()
	}()
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(client, server)
		client.Close()
	}()
	s := &session{p: p, id: id, prepared: map[string]string{}}
	s.forward(server, client)
	server.Close()
	client.Close()
	<-back
}

// session follows one connection's frontend messages.
type session struct {
	p        *Proxy
	id       int
	prepared map[string]string // statement name to SQL
	bound    string            // SQL of the portal bound last
	parsed   bool              // since the last Sync
	executed bool
}

// forward relays frontend messages one by one, counting them.
func (s *session) forward(server io.Writer, client io.Reader) {
	if err := s.startup(server, client); err != nil {
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
		if s.count(message[0], message[5:]) {
			s.p.wait()
		}
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

// startup relays the first message, which has no type byte.
func (s *session) startup(server io.Writer, client io.Reader) error {
	length := make([]byte, 4)
	if _, err := io.ReadFull(client, length); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(length))
	if n < 8 || n > 1<<16 {
		return errors.New("wiretap: bad startup message")
	}
	rest := make([]byte, n-4)
	if _, err := io.ReadFull(client, rest); err != nil {
		return err
	}
	_, err := server.Write(append(length, rest...))
	return err
}

// count notes one message and reports whether the client will now wait for the server.
func (s *session) count(kind byte, body []byte) (waits bool) {
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
		s.executed = true
		p.counts.Statements = append(p.counts.Statements, Statement{s.id, s.bound})
	case 'Q':
		sql, _ := cString(body)
		p.counts.Statements = append(p.counts.Statements, Statement{s.id, sql})
		p.counts.RoundTrips++
		return true
	case 'S':
		p.counts.RoundTrips++
		if s.parsed && !s.executed {
			p.counts.Prepares++
		}
		s.parsed, s.executed = false, false
		return true
	}
	return false
}

// wait is the delay of one direction taken together with the other's.
func (p *Proxy) wait() {
	p.mu.Lock()
	d := p.delay
	p.mu.Unlock()
	if d > 0 {
		t := time.NewTimer(d)
		<-t.C
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
