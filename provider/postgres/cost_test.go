package postgres_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// BenchmarkLone measures a lone caller against the server it uses: raw one-row commits, workflows of one activity and
// further steps take turns, so that whatever else the machine does meets them alike. All figures are medians.
func BenchmarkLone(b *testing.B) {
	p, url, flow, job := benchStore(b)
	conn := connectRaw(b, url)
	worker := provider.NewWorkerID()
	steps := startHello(b, p, worker, flow, job, 1)
	var raw, start, end, step []time.Duration
	since := func(to *[]time.Duration, begin time.Time) { *to = append(*to, time.Since(begin)) }
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		insertRaw(b, conn, i)
		since(&raw, begin)
		begin = time.Now()
		ack := startHello(b, p, worker, flow, job, 1)
		since(&start, begin)
		begin = time.Now()
		endHello(b, p, ack)
		since(&end, begin)
		begin = time.Now()
		takeStep(b, p, steps, job)
		since(&step, begin)
	}
	hello := make([]time.Duration, len(start))
	for i := range start {
		hello[i] = start[i] + end[i]
	}
	median := func(d []time.Duration) float64 { slices.Sort(d); return float64(d[len(d)/2].Nanoseconds()) / 1000 }
	b.ReportMetric(median(raw), "µs/raw")
	b.ReportMetric(median(start), "µs/start")
	b.ReportMetric(median(end), "µs/end")
	b.ReportMetric(median(step), "µs/step")
	b.ReportMetric(median(hello)/median(raw), "raw/hello")
	b.ReportMetric(median(step)/median(raw), "raw/step")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCost measures what a workflow of one activity, and a further step, cost the server, by the functions for plain
// commits and by the general ones.
func BenchmarkCost(b *testing.B) {
	for _, batch := range []int{1, 16, 128} {
		for _, form := range []string{"plain", "general"} {
			open := func(b *testing.B) (p *postgres.Provider, url string, flow, job provider.ClassID) {
				p, url, flow, job = benchStore(b)
				if form == "general" {
					postgres.WithoutPlain(p)
				}
				return p, url, flow, job
			}
			b.Run(fmt.Sprintf("hello/batch=%d/%s", batch, form), func(b *testing.B) {
				p, url, flow, job := open(b)
				worker := provider.NewWorkerID()
				endHello(b, p, startHello(b, p, worker, flow, job, batch))
				m := newMeter(b, url)
				for b.Loop() {
					endHello(b, p, startHello(b, p, worker, flow, job, batch))
				}
				m.report(b, batch)
			})
			b.Run(fmt.Sprintf("step/batch=%d/%s", batch, form), func(b *testing.B) {
				p, url, flow, job := open(b)
				ack := startHello(b, p, provider.NewWorkerID(), flow, job, batch)
				takeStep(b, p, ack, job)
				m := newMeter(b, url)
				for b.Loop() {
					takeStep(b, p, ack, job)
				}
				m.report(b, batch)
			})
		}
	}
}

// meter takes the difference of the server's counters.
type meter struct {
	conn   *pgx.Conn
	pids   []int32
	cpu    int64
	wal    int64
	update int64
	hot    int64
}

func newMeter(b *testing.B, url string) *meter {
	m := &meter{conn: connectRaw(b, url)}
	if err := m.conn.QueryRow(b.Context(), "select array_agg(pid) from pg_stat_activity").Scan(&m.pids); err != nil {
		b.Fatal(err)
	}
	m.read(b)
	b.ResetTimer()
	return m
}

func (m *meter) read(b *testing.B) {
	err := m.conn.QueryRow(b.Context(), `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, n_tup_upd, n_tup_hot_upd
		from pg_stat_user_tables where relname = 'instance'`).Scan(&m.wal, &m.update, &m.hot)
	if err != nil {
		b.Fatal(err)
	}
	m.cpu = 0
	for _, pid := range m.pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid)) // of processes that run for nanoseconds
		if err != nil {
			continue
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(data))[0], 10, 64)
		m.cpu += ns
	}
}

func (m *meter) report(b *testing.B, batch int) {
	units := float64(b.N * batch)
	b.ReportMetric(float64(b.Elapsed().Microseconds())/units, "µs/unit")
	before := *m
	m.read(b)
	b.ReportMetric(float64(m.cpu-before.cpu)/1000/units, "server-µs/unit")
	b.ReportMetric(float64(m.wal-before.wal)/units, "WAL-B/unit")
	// The counters of updates are those of all sessions, up to a second late: over a run they are good enough.
	if m.update > 0 {
		b.ReportMetric(100*float64(m.hot)/float64(m.update), "%HOT")
	}
	b.ReportMetric(0, "ns/op")
}

func connectRaw(b *testing.B, url string) *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(b.Context(), "create table if not exists raw (id bigint primary key, body json)"); err != nil {
		b.Fatal(err)
	}
	return conn
}

func insertRaw(b *testing.B, conn *pgx.Conn, i int) {
	if _, err := conn.Exec(b.Context(), "insert into raw values ($1, $2)", i, string(benchEvents)); err != nil {
		b.Fatal(err)
	}
}
