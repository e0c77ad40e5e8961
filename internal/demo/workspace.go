package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/metering"
)

// workspace is the directory of one run: store (unless one is named), effect log, counters, logs of the workers. The
// runs of one tree on one store share a base directory, whose file "current" names the run that has not succeeded yet.
type workspace struct {
	base     string
	dir      string
	current  current
	storeURL string
	own      bool // the store is in dir
	resumed  bool
	unlock   func() error
}

// current is the run that has not succeeded yet.
type current struct {
	Run      string    `json:"run"`      // name of its directory
	Instance string    `json:"instance"` // id of the root instance
	Tree     string    `json:"tree"`
	Started  time.Time `json:"started"`
}

const (
	currentFile = "current.json"
	keepFile    = "keep"
	runPrefix   = "run-"
)

var errBusy = errors.New("another demo is at work on this tree and store; let it end first")

// openWorkspace finds the run to go on with, or makes a new one. store is "" for one of the run's own.
func openWorkspace(parent, tree, store string, fresh bool) (w *workspace, err error) {
	sum := sha256.Sum256([]byte(tree + "\x00" + store))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, filepath.Base(tree))
	w = &workspace{base: filepath.Join(parent, fmt.Sprintf("%.40s-%s", name, hex.EncodeToString(sum[:4]))), own: store == ""}
	if err := os.MkdirAll(w.base, 0o700); err != nil {
		return nil, &cli.Error{Code: cli.ExitStore, Err: fmt.Errorf("no place for the files of the demo: %w; XDG_DATA_HOME can name another", err)}
	}
	if w.unlock, err = lockFile(filepath.Join(w.base, "lock")); err != nil {
		return nil, err
	}
	if fresh || !w.readCurrent() {
		err = w.begin(tree)
	}
	if err != nil {
		return nil, errors.Join(err, w.unlock())
	}
	w.storeURL = store
	if w.own {
		w.storeURL = filepath.Join(w.dir, "census.db")
	}
	return w, nil
}

// readCurrent reports whether there is a run to go on with.
func (w *workspace) readCurrent() bool {
	data, err := os.ReadFile(filepath.Join(w.base, currentFile))
	if err != nil || json.Unmarshal(data, &w.current) != nil || !strings.HasPrefix(w.current.Run, runPrefix) {
		return false
	}
	w.dir = filepath.Join(w.base, w.current.Run)
	if _, err := os.Stat(w.effects()); err != nil {
		return false
	}
	w.resumed = true
	return true
}

// begin makes the directory of a new run and clears those of old ones that nobody wanted kept. The run is the current
// one only when all it needs is there.
func (w *workspace) begin(tree string) error {
	old, err := filepath.Glob(filepath.Join(w.base, runPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range old {
		if _, err := os.Stat(filepath.Join(dir, keepFile)); errors.Is(err, fs.ErrNotExist) {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	now := time.Now().UTC()
	id := now.Format("20060102-150405-") + strings.ToLower(rand.Text()[:6])
	w.current = current{Run: runPrefix + id, Instance: "census-" + id, Tree: tree, Started: now}
	w.dir = filepath.Join(w.base, w.current.Run)
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(w.effects(), nil, 0o600); err != nil {
		return err
	}
	data, err := json.Marshal(w.current)
	if err != nil {
		return err
	}
	temporary := filepath.Join(w.base, currentFile+".new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(w.base, currentFile))
}

func (w *workspace) effects() string { return filepath.Join(w.dir, "effects.log") }

func (w *workspace) workerLog() string { return filepath.Join(w.dir, "workers.log") }

// meterPath is the file of a process's counters.
func meterPath(dir, process string) string { return filepath.Join(dir, "meter-"+process) }

// counts adds up the counters of all processes of the run.
func (w *workspace) counts() (metering.Counts, error) {
	var total metering.Counts
	files, err := filepath.Glob(meterPath(w.dir, "*"))
	if err != nil {
		return total, err
	}
	for _, f := range files {
		c, err := metering.Read(f)
		if err != nil {
			return total, err
		}
		total.Add(c)
	}
	return total, nil
}

// finish ends the run, so that the next start is a new one. The effect log stays for who wants to check it; all else
// only if it is to be kept.
func (w *workspace) finish(keep bool) error {
	if err := os.Remove(filepath.Join(w.base, currentFile)); err != nil {
		return err
	}
	if keep {
		return os.WriteFile(filepath.Join(w.dir, keepFile), nil, 0o600)
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := filepath.Join(w.dir, e.Name()); name != w.effects() {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
