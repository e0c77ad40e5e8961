package budget

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// witness is a connection to the server beside those that are counted: it knows how many transactions there were and
// hears every notification. The schemas of the measurement are its.
type witness struct {
	conn     *pgx.Conn
	config   *pgx.ConnConfig
	name     string        // of the measurement: unlike any other
	schema   string        // of the current scene
	schemas  int           // so far
	rtt      time.Duration // the shortest seen
	barriers int
}

// dropTimeout bounds what is done in the end, also if the context has ended.
const dropTimeout = 30 * time.Second

func newWitness(ctx context.Context, dsn string) (*witness, error) {
	pool, err := pgxpool.ParseConfig(dsn) // it knows the parameters of a pool, which are none of a connection's
	if err != nil {
		return nil, err
	}
	config := pool.ConnConfig
	delete(config.RuntimeParams, "schema")
	conn, err := connectPlain(ctx, config)
	if err != nil {
		return nil, err
	}
	var random [6]byte
	rand.Read(random[:])
	w := &witness{conn: conn, config: config, name: "pawl_budget_" + hex.EncodeToString(random[:]), rtt: time.Hour}
	if _, err := conn.Exec(ctx, "listen "+w.name, pgx.QueryExecModeExec); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	return w, nil
}

// close ends the connection.
func (w *witness) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
	defer cancel()
	return w.conn.Close(ctx)
}

// version is that of the server.
func (w *witness) version() string { return w.conn.PgConn().ParameterStatus("server_version") }

// begin chooses the schema of the next scene. Each has its own: a store remembers workers that have left, and looks after
// what they may have held, for a while.
func (w *witness) begin(ctx context.Context) error {
	w.schemas++
	w.schema = fmt.Sprint(w.name, "_", w.schemas)
	_, err := w.conn.Exec(ctx, "listen "+w.schema, pgx.QueryExecModeExec)
	return err
}

// end drops the schema of the scene.
func (w *witness) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
	defer cancel()
	var err error
	if w.conn.IsClosed() { // a call was cut short
		var conn *pgx.Conn
		if conn, err = pgx.ConnectConfig(ctx, w.config); err == nil {
			w.conn = conn
		}
	}
	if err == nil {
		_, err = w.conn.Exec(ctx, "drop schema if exists "+w.schema+" cascade", pgx.QueryExecModeExec)
	}
	if err != nil {
		return fmt.Errorf("schema %s stays: %w", w.schema, err)
	}
	return nil
}

// connectPlain connects without encryption. It does not do so against the URL's will: a network may not be trusted with
// what goes over it.
func connectPlain(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	type endpoint struct {
		host string
		port uint16
	}
	var plain []endpoint
	asks := config.TLSConfig != nil
	if !asks {
		plain = append(plain, endpoint{config.Host, config.Port})
	}
	for _, f := range config.Fallbacks {
		if f.TLSConfig == nil {
			plain = append(plain, endpoint{f.Host, f.Port})
		}
	}
	if len(plain) == 0 {
		return nil, fmt.Errorf("%w: say sslmode=disable if the network may see what is sent", ErrEncrypted)
	}
	encrypted := config.Copy()
	config.Host, config.Port, config.TLSConfig, config.Fallbacks = plain[0].host, plain[0].port, nil, nil
	for _, e := range plain[1:] {
		config.Fallbacks = append(config.Fallbacks, &pgconn.FallbackConfig{Host: e.host, Port: e.port})
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	var refused *pgconn.PgError
	if err != nil && asks && errors.As(err, &refused) {
		if conn, tlsErr := pgx.ConnectConfig(ctx, encrypted); tlsErr == nil {
			return nil, errors.Join(fmt.Errorf("%w, and this server refuses others (%s)", ErrEncrypted, refused.Message),
				conn.Close(context.WithoutCancel(ctx)))
		}
	}
	return conn, err
}

// server is where the witness is connected to, as package wiretap takes it.
func (w *witness) server() string { return w.conn.PgConn().Conn().RemoteAddr().String() }

// url is how a process connects through a proxy: with what the environment, a service file or a password file say already
// in it.
func (w *witness) url(proxy string) string {
	q := url.Values{}
	for name, value := range w.config.RuntimeParams {
		q.Set(name, value)
	}
	q.Set("sslmode", "disable")
	q.Set("schema", w.schema)
	if t := w.config.ConnectTimeout; t > 0 {
		q.Set("connect_timeout", fmt.Sprint(int(t.Seconds())))
	}
	u := url.URL{Scheme: "postgres", Host: proxy, Path: "/" + w.config.Database, User: url.UserPassword(w.config.User, w.config.Password),
		RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
	return u.String()
}

// transactions returns the next transaction id, provided that no transaction with an id is under way.
func (w *witness) transactions(ctx context.Context) (next int64, err error) {
	begin := time.Now()
	err = w.conn.QueryRow(ctx, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint", pgx.QueryExecModeExec).Scan(&next)
	w.rtt = min(w.rtt, time.Since(begin))
	return next, err
}

// barrierTimeout is how long a notification may take.
const barrierTimeout = 5 * time.Second

// notifications returns how many notifications the stores sent since it was last called. The server delivers in the order of
// the commits, so whatever was sent before the witness's own is there when that is.
func (w *witness) notifications(ctx context.Context) (sent int, err error) {
	w.barriers++
	mark := fmt.Sprint(w.barriers)
	if _, err := w.conn.Exec(ctx, fmt.Sprintf("notify %s, '%s'", w.name, mark), pgx.QueryExecModeExec); err != nil {
		return 0, err
	}
	wait, cancel := context.WithTimeout(ctx, barrierTimeout)
	defer cancel()
	for {
		n, err := w.conn.WaitForNotification(wait)
		switch {
		case err != nil && wait.Err() != nil && ctx.Err() == nil:
			return 0, ErrNoNotifications
		case err != nil:
			return 0, err
		case n.Channel == w.schema:
			sent++
		case n.Payload == mark:
			return sent, nil
		}
	}
}
