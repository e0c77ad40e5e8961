package sqlite

import (
	"context"
	"log/slog"
	"time"
)

// write runs a call in a transaction of the writer and logs it.
func (p *Provider) write(ctx context.Context, op string, items int, need durability, run func(*tx)) error {
	began := time.Now()
	rows, err := p.writer.do(ctx, need, run)
	p.logCall(ctx, op, began, rows, items, err)
	return classify(op, err)
}

func (p *Provider) logCall(ctx context.Context, op string, began time.Time, rows, items int, err error) {
	if !p.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("op", op),
		slog.Duration("duration", time.Since(began)),
		slog.Int("rows", rows),
		slog.Int("items", items),
	}
	if err != nil {
		attrs = append(attrs, slog.Bool("failed", true)) // the error itself is the caller's to report
	}
	p.log.LogAttrs(ctx, slog.LevelDebug, "provider call", attrs...)
}
