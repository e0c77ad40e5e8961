package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress shows how far the census is: a line that is written over on a terminal, else a line now and then.
type progress struct {
	out      io.Writer
	terminal bool
	total    int
	began    time.Time
	before   int // done when this process began
	shown    int // tenths shown as lines
	open     bool
}

func newProgress(out io.Writer, total, before int) *progress {
	p := &progress{out: out, total: total, began: time.Now(), before: before, shown: 10 * before / max(total, 1)}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return p
}

// show tells how many packages are done.
func (p *progress) show(done, workers int) {
	rate := float64(done-p.before) / max(time.Since(p.began).Seconds(), 0.001)
	if !p.terminal {
		if tenths := 10 * done / max(p.total, 1); tenths > p.shown {
			p.shown = tenths
			p.print("%d of %d packages, %.0f a second\n", done, p.total, rate)
		}
		return
	}
	const width = 30
	filled := width * done / max(p.total, 1)
	p.print("\r\x1b[K[%s%s] %d/%d packages  %.0f/s  %d workers", strings.Repeat("=", filled), strings.Repeat(" ", width-filled), done, p.total, rate, workers)
	p.open = true
}

// say prints a line of its own.
func (p *progress) say(format string, args ...any) {
	p.end()
	p.print(format+"\n", args...)
}

// end leaves the line that is written over as it is.
func (p *progress) end() {
	if p.open {
		p.print("\n")
		p.open = false
	}
}

// print drops errors: progress that cannot be shown is not worth failing for.
func (p *progress) print(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }
