package pgtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/pgtest"
)

// envChild makes the test binary start a server, print its address and wait to be killed.
const envChild = "PAWL_PGTEST_CHILD"

// TestServerDiesWithProcess kills a process that has started a server; the server must go too.
func TestServerDiesWithProcess(t *testing.T) {
	if os.Getenv(envChild) != "" {
		server, err := pgtest.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("address", server.Address)
		select {}
	}
	if server, err := pgtest.Start(t.Context()); errors.Is(err, pgtest.ErrNotInstalled) || err == nil && server.Address == "" {
		t.Skip("no server binaries, or a server that is not ours")
	} else if err != nil {
		t.Fatal(err)
	} else {
		server.Stop()
		if answers(server.Address) {
			t.Error("the server answers after Stop")
		}
	}
	child := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithProcess$")
	child.Env = append(os.Environ(), envChild+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "address "); ok {
			address = rest
		}
	}
	if !answers(address) {
		t.Errorf("no server at %q", address)
	}
	child.Process.Kill()
	child.Wait()
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); answers(address); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the server outlives its process")
		}
	}
}

// TestOwn has a server for the test alone, whatever EnvURL names, with the settings that were asked for.
func TestOwn(t *testing.T) {
	t.Setenv(pgtest.EnvURL, "postgres://nobody@127.0.0.1:1/none")
	server := pgtest.Own(t, "application_name=own server", "work_mem=1234kB")
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var name, memory string
	err = conn.QueryRow(t.Context(), "select current_setting('application_name'), current_setting('work_mem')").Scan(&name, &memory)
	if err != nil || name != "own server" || memory != "1234kB" || server.Address == "" || server.LogFile == "" {
		t.Errorf("%q, %q, %+v, %v", name, memory, server, err)
	}
}

func answers(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
