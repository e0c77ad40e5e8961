package wiretap_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/wiretap"
)

// eventually waits until the counts of a proxy are as wanted.
func eventually(t *testing.T, proxy *wiretap.Proxy, what string, wanted func(wiretap.Counts) bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !wanted(proxy.Counts()) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s; counts: %+v", what, proxy.Counts())
		}
	}
}

// The test is the server: it decides when an answer ends, and in what pieces it comes.
func TestWaiting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	proxy, err := wiretap.Listen(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	client, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	send := func(to net.Conn, messages ...[]byte) {
		t.Helper()
		for _, m := range messages {
			if _, err := to.Write(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	arrives := func(at net.Conn, m []byte) {
		t.Helper()
		got := make([]byte, len(m))
		if _, err := io.ReadFull(at, got); err != nil || string(got) != string(m) {
			t.Fatalf("got %q, %v, want %q", got, err, m)
		}
	}
	ready := message('Z', []byte("I"))
	row := message('D', []byte("a row with a Z\x00\x00\x00\x05 in it"))
	query := append([]byte("select 1"), 0)

	send(client, message(0, code(sslRequest)))
	send(server, []byte("N"))
	arrives(client, []byte("N"))
	send(client, message(0, code(protocol3)))
	arrives(server, message(0, code(sslRequest)))
	arrives(server, message(0, code(protocol3)))
	send(server, message('R', code(0)), ready)
	arrives(client, message('R', code(0)))
	arrives(client, ready)
	if c := proxy.Counts(); c.Waiting != 0 || c.Open != 1 || c.Opened != 1 {
		t.Fatalf("after the greeting: %+v", c)
	}
	send(client, message('Q', query), message('Q', query))
	eventually(t, proxy, "two queries wait", func(c wiretap.Counts) bool { return c.Waiting == 2 })
	proxy.Reset()
	send(server, row[:7])
	arrives(client, row[:7])
	send(server, row[7:], ready[:3])
	arrives(client, row[7:])
	if c := proxy.Counts(); c.Waiting != 2 || c.RoundTrips != 0 || c.Open != 1 || c.Opened != 0 {
		t.Fatalf("in the middle of the first answer: %+v", c)
	}
	send(server, ready[3:])
	arrives(client, ready)
	if c := proxy.Counts(); c.Waiting != 1 {
		t.Fatalf("after the first answer: %+v", c)
	}
	client.Close()
	eventually(t, proxy, "nobody is left", func(c wiretap.Counts) bool { return c.Waiting == 0 && c.Open == 0 })
}
