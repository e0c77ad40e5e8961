package suite

import (
	"context"
	"strings"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

// reading is what has been used up to a moment, by the server and by this process.
type reading struct {
	server      *bench.Usage // nil for SQLite
	client      time.Duration
	clientKnown bool
	roundTrips  *int // through the proxy, if it could count them
}

// read takes a reading. Processor times are read last, and so closest to what begins then.
func (p *place) read(ctx context.Context) (reading, error) {
	var r reading
	if p.detour != nil {
		if c := p.detour.Counts(); c.Encrypted == 0 {
			n := c.RoundTrips - c.Prepares
			for _, s := range c.Statements {
				if strings.Contains(s.SQL, ".pulse_v") { // of an idle process too
					n--
				}
			}
			r.roundTrips = &n
		}
	}
	if p.server != nil {
		u, err := p.server.Usage(ctx)
		if err != nil {
			return r, err
		}
		r.server = &u
	}
	r.client, r.clientKnown = bench.ClientCPU()
	return r, nil
}

// costSince is what each of n things has cost since an earlier reading.
func (r reading) costSince(before reading, n int) Cost {
	var c Cost
	if n == 0 {
		return c
	}
	per := func(total float64) *float64 {
		v := rounded(total / float64(n))
		return &v
	}
	if r.server != nil && before.server != nil {
		u := r.server.Since(*before.server)
		c.Commits, c.WALBytes = per(float64(u.Transactions)), per(float64(u.WALBytes))
		if u.CPUKnown {
			c.ServerCPU = per(u.CPU.Seconds() * 1e3)
		}
	}
	if r.clientKnown && before.clientKnown {
		c.ClientCPU = per((r.client - before.client).Seconds() * 1e3)
	}
	if r.roundTrips != nil && before.roundTrips != nil {
		c.RoundTrips = per(float64(*r.roundTrips - *before.roundTrips))
	}
	return c
}

// checkpointSince reports whether a checkpoint has begun since an earlier reading.
func (r reading) checkpointSince(before reading) bool {
	return r.server != nil && before.server != nil && r.server.Since(*before.server).Checkpoint
}
