package wiretap_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/pawlrun/pawl/internal/wiretap"
)

// echo is a server that returns what it gets, and the network and address it listens on.
func echo(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(conn, conn)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// message is a startup message, or a typed one if kind is not zero.
func message(kind byte, body []byte) []byte {
	var b []byte
	if kind != 0 {
		b = append(b, kind)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(body)+4)), body...)
}

func code(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// exchange sends messages through a new proxy, waits until the server has returned them all, and returns the counts.
func exchange(t *testing.T, target string, messages ...[]byte) wiretap.Counts {
	t.Helper()
	proxy, err := wiretap.Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	conn, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, m := range messages {
		if _, err := conn.Write(m); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(m))
		if _, err := io.ReadFull(answers, got); err != nil || string(got) != string(m) {
			t.Fatalf("sent %q, the server returned %q, %v", m, got, err)
		}
	}
	return proxy.Counts()
}

const (
	protocol3  = 3 << 16
	sslRequest = 80877103
)

func TestCountsInPlain(t *testing.T) {
	query := append([]byte("select 1"), 0)
	sync := message('S', nil)
	for name, test := range map[string]struct {
		messages [][]byte
		want     int // round trips
	}{
		"plain at once":          {[][]byte{message(0, code(protocol3)), message('Q', query), sync}, 2},
		"TLS asked for, refused": {[][]byte{message(0, code(sslRequest)), message(0, code(protocol3)), message('Q', query)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := exchange(t, echo(t, "tcp", "127.0.0.1:0"), test.messages...)
			if c.RoundTrips != test.want || c.Encrypted != 0 || len(c.Statements) != 1 || c.Statements[0].SQL != "select 1" {
				t.Errorf("counted %+v, want %d round trips and the statement", c, test.want)
			}
		})
	}
}

// What cannot be read is relayed, and said to be missing in the counts.
func TestEncryptedConnectionsAreRelayed(t *testing.T) {
	hello := []byte{0x16, 3, 1, 0, 2, 1, 0}
	for name, messages := range map[string][][]byte{
		"asked for first": {message(0, code(sslRequest)), hello, []byte("Q opaque")},
		"direct":          {hello, []byte("Q opaque")},
	} {
		t.Run(name, func(t *testing.T) {
			c := exchange(t, echo(t, "tcp", "127.0.0.1:0"), messages...)
			if c.Encrypted != 1 || c.RoundTrips != 0 || len(c.Statements) != 0 {
				t.Errorf("counted %+v, want one encrypted connection and nothing else", c)
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), ".s.PGSQL.5432")
	c := exchange(t, echo(t, "unix", socket), message(0, code(protocol3)), message('S', nil))
	if c.RoundTrips != 1 {
		t.Errorf("counted %+v, want one round trip", c)
	}
}
