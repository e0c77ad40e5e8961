package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// effectKind is what a line of the effect log tells.
type effectKind string

const (
	effectJoin     effectKind = "join"     // a worker process begins
	effectBegin    effectKind = "begin"    // an execution of an activity begins
	effectEnd      effectKind = "end"      // its function has returned
	effectRecorded effectKind = "recorded" // its result is committed in the store
	effectRefused  effectKind = "refused"  // the store had another result, or none to wait for
	effectKill     effectKind = "kill"     // the worker named in the line is about to be killed
	effectLeave    effectKind = "leave"    // a worker process stops by itself
	effectRejoin   effectKind = "rejoin"   // a worker was declared dead, as it was silent too long, and begins anew
	effectDemo     effectKind = "demo"     // the demo itself begins, or begins again
)

// effect is one line of the effect log. The log is for people and scripts too: tab-separated columns time (UTC), worker
// (its number and process id), kind, idempotency key of the activity, its name, what it was about (quoted).
type effect struct {
	at      time.Time
	worker  string
	kind    effectKind
	key     string
	name    string
	subject string
}

// effectLog is the log as one process writes it: each line with one write to the end of the file, so that lines of
// several processes never mix and a killed process leaves whole lines.
type effectLog struct {
	file   *os.File
	worker string
}

func openEffectLog(path, worker string) (*effectLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &effectLog{file, worker}, nil
}

func (l *effectLog) close() error { return l.file.Close() }

const effectTime = "2006-01-02T15:04:05.000000Z"

// write appends a line about the log's own worker.
func (l *effectLog) write(kind effectKind, key, name, subject string) error {
	return l.writeFor(l.worker, kind, key, name, subject)
}

func (l *effectLog) writeFor(worker string, kind effectKind, key, name, subject string) error {
	line := strings.Join([]string{time.Now().UTC().Format(effectTime), worker, string(kind), key, name, strconv.Quote(subject)}, "\t") + "\n"
	_, err := l.file.WriteString(line)
	return err
}

// effectReader follows a log that others write.
type effectReader struct {
	file *os.File
	rest []byte // of a line that was not complete yet
}

func followEffectLog(path string) (*effectReader, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &effectReader{file: file}, nil
}

func (r *effectReader) close() error { return r.file.Close() }

// next calls take for every line added since the last call.
func (r *effectReader) next(take func(effect)) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.file.Read(buf)
		r.rest = append(r.rest, buf[:n]...)
		for {
			line, rest, whole := bytes.Cut(r.rest, []byte("\n"))
			if !whole {
				break
			}
			r.rest = rest
			e, err := parseEffect(string(line))
			if err != nil {
				return fmt.Errorf("effect log %s: %w", r.file.Name(), err)
			}
			take(e)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func parseEffect(line string) (effect, error) {
	f := strings.Split(line, "\t")
	if len(f) != 6 {
		return effect{}, fmt.Errorf("line %q has %d columns, not 6", line, len(f))
	}
	at, err := time.Parse(effectTime, f[0])
	if err != nil {
		return effect{}, err
	}
	subject, err := strconv.Unquote(f[5])
	if err != nil {
		return effect{}, fmt.Errorf("line %q: %w", line, err)
	}
	return effect{at: at, worker: f[1], kind: effectKind(f[2]), key: f[3], name: f[4], subject: subject}, nil
}
