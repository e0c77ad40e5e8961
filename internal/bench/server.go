package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server watches what a PostgreSQL server does, over a connection of its own. It is not safe for concurrent use.
type Server struct {
	conn *pgx.Conn
	// postmaster is the parent of all processes of the server, 0 if it does not run on this machine.
	postmaster int
}

// ConnectServer connects to the server of a URL.
func ConnectServer(ctx context.Context, url string) (*Server, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	s := &Server{conn: conn}
	var started time.Time
	err = conn.QueryRow(ctx, "select pg_postmaster_start_time()", pgx.QueryExecModeExec).Scan(&started)
	if err != nil {
		_ = conn.Close(context.WithoutCancel(ctx)) // the error that counts is the other
		return nil, fmt.Errorf("start time of the server: %w", err)
	}
	s.postmaster = findPostmaster(int(conn.PgConn().PID()), started)
	return s, nil
}

// Close ends the connection.
func (s *Server) Close(ctx context.Context) error { return s.conn.Close(ctx) }

// Usage is what a server has done up to a moment, or between two.
type Usage struct {
	// Transactions are those that got a transaction id, as all do that write: the commits of a store that aborts none.
	Transactions int64
	// WALBytes went into the write-ahead log.
	WALBytes int64
	// CPU is the processor time of all processes of the server; it is not known of one on another machine. It is off by up
	// to 20 ms if processes have ended meanwhile: the kernel tells their time in ticks.
	CPU      time.Duration
	CPUKnown bool
	// checkpoint is where recovery would begin.
	checkpoint string
	// Checkpoint tells, of the time between two moments, whether a checkpoint began: pages are then logged as a whole
	// when they are changed next.
	Checkpoint bool
}

// Usage returns what the server has done so far, for everybody: nobody else should use it meanwhile.
func (s *Server) Usage(ctx context.Context) (Usage, error) {
	var u Usage
	err := s.conn.QueryRow(ctx, `select pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
		(pg_current_wal_insert_lsn() - '0/0')::bigint, (select redo_lsn::text from pg_control_checkpoint())`,
		pgx.QueryExecModeExec).Scan(&u.Transactions, &u.WALBytes, &u.checkpoint)
	if err != nil {
		return u, fmt.Errorf("statistics of the server: %w", err)
	}
	u.CPU, u.CPUKnown = serverCPU(s.postmaster)
	return u, nil
}

// Since returns what was done between an earlier moment and this one.
func (u Usage) Since(before Usage) Usage {
	return Usage{
		Transactions: u.Transactions - before.Transactions, WALBytes: u.WALBytes - before.WALBytes,
		CPU: max(u.CPU-before.CPU, 0), CPUKnown: u.CPUKnown && before.CPUKnown, Checkpoint: u.checkpoint != before.checkpoint,
	}
}

// Setting is one setting of a server.
type Setting struct{ Name, Value string }

// reported are the settings that speed and durability depend on.
var reported = []string{"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "wal_level",
	"commit_delay", "shared_buffers", "max_wal_size", "max_connections"}

// Settings returns the settings that speed and durability depend on, as they are for this connection.
func (s *Server) Settings(ctx context.Context) ([]Setting, error) {
	settings := make([]Setting, len(reported))
	for i, name := range reported {
		settings[i].Name = name
		err := s.conn.QueryRow(ctx, "select coalesce(current_setting($1, true), '')", pgx.QueryExecModeExec, name).Scan(&settings[i].Value)
		if err != nil {
			return nil, fmt.Errorf("setting %s: %w", name, err)
		}
	}
	return settings, nil
}

// Undurable says what durability the settings give up for speed, one sentence each.
func Undurable(settings []Setting) []string {
	var found []string
	for _, s := range settings {
		switch s {
		case Setting{"fsync", "off"}:
			found = append(found, "fsync is off: commits are not written to disk; what is measured is speed by durability switched off")
		case Setting{"synchronous_commit", "off"}:
			found = append(found, "synchronous_commit is off: commits do not wait for the disk; what is measured is speed by durability switched off")
		case Setting{"full_page_writes", "off"}:
			found = append(found, "full_page_writes is off: less is logged than a crash-safe server logs")
		}
	}
	return found
}
