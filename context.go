package pawl

import (
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/pawlrun/pawl/internal/replay"
)

// Context is an orchestration's view of the world. It belongs to the goroutine the orchestration runs on and is not safe
// for use on any other: an await that would block another goroutine fails with ErrForeignGoroutine, and so does the
// execution.
type Context struct {
	app   *App
	x     *replay.Execution
	scope *replay.Scope // what is scheduled through this context belongs to it
}

func newContext(app *App, x *replay.Execution) *Context {
	return &Context{app: app, x: x, scope: x.Root()}
}

// InstanceID is the id the instance was started with.
func (o *Context) InstanceID() string { return o.x.InstanceID() }

// Execution is 1, and one more after each continue-as-new.
func (o *Context) Execution() int { return int(o.x.ExecutionNumber()) }

// ExecutionID is the random id of this execution, 32 hexadecimal digits.
func (o *Context) ExecutionID() string { return o.x.Started().ExecutionID }

// Name is the name the orchestration was started by.
func (o *Context) Name() string { return o.x.Started().Name }

// Now is the time of the current turn by the store's clock, the same in every replay. It stands still between awaits and
// never goes backwards.
func (o *Context) Now() time.Time { return o.x.Now() }

// NewID returns 32 hexadecimal digits that are unique to this call and the same in every replay.
func (o *Context) NewID() string {
	id := o.x.NewID()
	return hex.EncodeToString(id[:])
}

// IsReplaying reports whether the code running now ran before. Results must not depend on it.
func (o *Context) IsReplaying() bool { return o.x.Replaying() }

// Logger returns a logger that carries the instance's identity and is mute while replaying, so that a line appears once.
func (o *Context) Logger() *slog.Logger {
	l := slog.New(&replayHandler{o.app.options.Logger.Handler(), o.x})
	return l.With("instance", o.InstanceID(), "execution", o.Execution(), "orchestration", o.Name())
}

// replayHandler drops records while its execution replays.
type replayHandler struct {
	slog.Handler
	x *replay.Execution
}

// Enabled implements slog.Handler.
func (h *replayHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return !h.x.Replaying() && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h *replayHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &replayHandler{h.Handler.WithAttrs(attrs), h.x}
}

// WithGroup implements slog.Handler.
func (h *replayHandler) WithGroup(name string) slog.Handler {
	return &replayHandler{h.Handler.WithGroup(name), h.x}
}
