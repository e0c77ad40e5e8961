package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// programs builds server programs from the module proxy and keeps them in a directory.
type programs struct {
	dir string
	// say tells of what takes minutes.
	say func(format string, args ...any)

	mu sync.Mutex
	// refused are the packages whose build failed: it is tried once.
	refused map[string]error
}

// build returns the path of a program, building it if it is not there yet.
func (p *programs) build(ctx context.Context, pkg, version string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	target := pkg + "@v" + version
	dir := filepath.Join(p.dir, strings.NewReplacer("/", "_").Replace(target))
	program := filepath.Join(dir, path.Base(pkg))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := p.refused[target]; err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	p.say("building %s into %s: this takes some minutes, once", target, dir)
	cmd := exec.CommandContext(ctx, "go", "install", target)
	cmd.Dir = dir // outside any module
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		err = fmt.Errorf("go install %s: %w: %w\n%s", target, errUnavailable, err, out)
		p.refused[target] = err
		return "", err
	}
	return program, nil
}

// daemon is a server program that runs for one system.
type daemon struct {
	address string
	pid     int
	log     string
	stop    func()
}

// supervise runs a program until standard input ends, however the process at its other end dies. Its first argument is
// where the program logs to. What the program stored is thrown away, so it need not end in good order.
const supervise = `log=$1; shift
"$@" </dev/null >"$log" 2>&1 &
program=$!
echo $program
read ignored
kill -KILL $program 2>/dev/null
wait $program 2>/dev/null`

// startDaemon starts a program that will listen on an address.
func startDaemon(log, address, program string, args ...string) (*daemon, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", supervise, "sh", log, program}, args...)...)
	cmd.Dir = filepath.Dir(log)
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{address: address, log: log, stop: sync.OnceFunc(func() {
		lifeline.Close()
		io.Copy(io.Discard, out)
		cmd.Wait() // its status says nothing: the program is killed
	})}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		d.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		d.stop()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return d, nil
}

// explain adds the end of the program's log to an error.
func (d *daemon) explain(err error) error {
	text, readErr := os.ReadFile(d.log)
	if readErr != nil {
		return err
	}
	return fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
}
