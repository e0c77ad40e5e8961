package postgres

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

//go:embed migrations/*.sql functions/*.sql views/*.sql
var sqlFiles embed.FS

// functionsVersion grows with every release that changes a stored function or view. An older binary never overwrites
// the functions of a newer one.
const functionsVersion = 1

// Migration is one numbered migration and when it was applied.
type Migration struct {
	Version   int
	Name      string
	AppliedAt time.Time // zero while it is pending
}

// schemaState is what a look at the schema tells.
type schemaState struct {
	exists            bool
	version           int
	functionsVersion  int
	functionsChecksum string
	parts             int
	isolation         string
}

// current reports whether this binary can work with the schema as it is. Newer than the binary is good enough: a
// version must work for binaries that are one older.
func (s *schemaState) current() bool {
	if !s.exists || s.version < len(migrations()) {
		return false
	}
	return s.functionsVersion > functionsVersion ||
		s.functionsVersion == functionsVersion && s.functionsChecksum == functions().checksum
}

// readState is the check that every Open makes: one query.
func readState(ctx context.Context, conn *pgx.Conn, schema string) (schemaState, error) {
	var s schemaState
	err := conn.QueryRow(ctx, `select m.version, m.functions_version, m.functions_checksum, `+schema+`.part_count(),
		current_setting('default_transaction_isolation') from `+schema+`.meta m`, pgx.QueryExecModeExec).
		Scan(&s.version, &s.functionsVersion, &s.functionsChecksum, &s.parts, &s.isolation)
	var server *pgconn.PgError
	switch {
	case err == nil:
		s.exists = true
		return s, nil
	case errors.As(err, &server) && (server.Code == "3F000" || server.Code == "42P01" || server.Code == "42883"):
		err = conn.QueryRow(ctx, `select current_setting('default_transaction_isolation')`, pgx.QueryExecModeExec).Scan(&s.isolation)
		return s, err
	default:
		return s, err
	}
}

// Migrate brings the schema of dsn up to date, creating it if need be. It does what Open does without SkipMigrate; any
// number of processes may do so at once.
func Migrate(ctx context.Context, dsn string, opts *Options) error {
	config, o, err := parse(dsn, opts)
	if err != nil {
		return sqlstate.CallError(ctx, "migrate", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return sqlstate.CallError(ctx, "migrate", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := migrate(ctx, conn, o.Schema, o.Parts); err != nil {
		return sqlstate.CallError(ctx, "migrate", err)
	}
	return nil
}

// MigrationStatus lists the migrations this binary knows and when the schema of dsn got them.
func MigrationStatus(ctx context.Context, dsn string, opts *Options) ([]Migration, error) {
	config, o, err := parse(dsn, opts)
	if err != nil {
		return nil, sqlstate.CallError(ctx, "migrate", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, sqlstate.CallError(ctx, "migrate", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	applied, err := appliedMigrations(ctx, conn, quote(o.Schema))
	if err != nil {
		return nil, sqlstate.CallError(ctx, "migrate", err)
	}
	var out []Migration
	for _, m := range migrations() {
		out = append(out, Migration{Version: m.version, Name: m.name, AppliedAt: applied[m.version].at})
	}
	return out, nil
}

// appliedMigration is a row of the table migration.
type appliedMigration struct {
	checksum string
	at       time.Time
}

func appliedMigrations(ctx context.Context, conn *pgx.Conn, schema string) (map[int]appliedMigration, error) {
	applied := make(map[int]appliedMigration)
	rows, err := conn.Query(ctx, `select version, checksum, applied_at from `+schema+`.migration`, pgx.QueryExecModeExec)
	if err == nil {
		defer rows.Close()
		for rows.Next() {
			var version int
			var m appliedMigration
			if err := rows.Scan(&version, &m.checksum, &m.at); err != nil {
				return nil, err
			}
			applied[version] = m
		}
		err = rows.Err()
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && (server.Code == "3F000" || server.Code == "42P01") {
		return applied, nil
	}
	return applied, err
}

// migrate applies what is missing, in one transaction, one process at a time.
func migrate(ctx context.Context, conn *pgx.Conn, schema string, parts int) error {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	exec := func(sql string) error {
		_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
		return err
	}
	var encoding string
	var exists bool
	err = conn.QueryRow(ctx, `select current_setting('server_encoding'),
		exists (select from pg_catalog.pg_namespace where nspname = $1)
		from pg_advisory_xact_lock(hashtext('pawl migration of ' || $1))`, pgx.QueryExecModeExec, schema).Scan(&encoding, &exists)
	if err != nil {
		return err
	}
	if encoding != "UTF8" {
		return sqlstate.GiveUp("migrate", "the database has encoding %s: Pawl needs UTF8", encoding)
	}
	// A snapshot taken before the lock was granted would not show what its last holder has done.
	quoted := quote(schema)
	if !exists {
		if err := exec(`create schema if not exists ` + quoted); err != nil {
			return err
		}
	}
	state, err := lockedState(ctx, conn, schema)
	if err != nil || state.current() {
		return err
	}
	if err := exec(`set local search_path = ` + quoted + `, pg_temp; set local client_min_messages = warning`); err != nil {
		return err
	}
	if err := applyMigrations(ctx, conn, exec, quoted, parts); err != nil {
		return err
	}
	if state.functionsVersion <= functionsVersion {
		f := functions()
		if err := exec(strings.ReplaceAll(f.sql, "@schema@", quoted)); err != nil {
			return fmt.Errorf("stored functions: %w", err)
		}
		err := exec(`update meta set functions_version = ` + strconv.Itoa(functionsVersion) +
			`, functions_checksum = '` + f.checksum + `'`)
		if err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// lockedState is readState within the migration's transaction, where a missing table must not be an error.
func lockedState(ctx context.Context, conn *pgx.Conn, schema string) (schemaState, error) {
	var s schemaState
	err := conn.QueryRow(ctx, `select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where n.nspname = $1 and c.relname = 'meta')`, pgx.QueryExecModeExec, schema).Scan(&s.exists)
	if err != nil || !s.exists {
		return s, err
	}
	return readState(ctx, conn, quote(schema))
}

func applyMigrations(ctx context.Context, conn *pgx.Conn, exec func(string) error, schema string, parts int) error {
	applied := make(map[int]appliedMigration)
	var found bool
	err := conn.QueryRow(ctx, `select to_regclass('migration') is not null`, pgx.QueryExecModeExec).Scan(&found)
	if err != nil {
		return err
	}
	if found {
		if applied, err = appliedMigrations(ctx, conn, schema); err != nil {
			return err
		}
	}
	for _, m := range migrations() {
		if a, ok := applied[m.version]; ok {
			if a.checksum != m.checksum {
				return sqlstate.GiveUp("migrate", "migration %d (%s) was applied with another text: this binary and the schema have different histories", m.version, m.name)
			}
			continue
		}
		sql := m.sql
		if m.version == 1 {
			sql += fmt.Sprintf(`;
				create function part_count() returns int language sql immutable parallel safe as 'select %d';
				comment on function part_count() is 'The number of partitions, chosen when the schema was created. Never change it.';
				insert into meta (version) values (1)`, parts)
		}
		sql += fmt.Sprintf(`;
			insert into migration (version, name, checksum) values (%d, '%s', '%s');
			update meta set version = %d`, m.version, m.name, m.checksum, m.version)
		if err := exec(sql); err != nil {
			return fmt.Errorf("migration %d (%s): %w", m.version, m.name, err)
		}
	}
	return nil
}

// migrationFile is one numbered file of migrations/.
type migrationFile struct {
	version             int
	name, sql, checksum string
}

// migrations returns the embedded migrations in order; their numbers have no gap.
var migrations = sync.OnceValue(func() []migrationFile {
	var out []migrationFile
	for _, path := range embedded("migrations") {
		base := strings.TrimSuffix(path[len("migrations/"):], ".sql")
		digits, name, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(digits)
		if err != nil || version != len(out)+1 {
			panic("postgres: migration out of order: " + path)
		}
		sql := readEmbedded(path)
		out = append(out, migrationFile{version, name, sql, checksum(sql)})
	}
	return out
})

// functionsText is the text of all stored functions and views.
type functionsText struct{ sql, checksum string }

var functions = sync.OnceValue(func() functionsText {
	var b strings.Builder
	// A function body is checked when it first runs, so the order of the files does not matter.
	b.WriteString("set local check_function_bodies = off;\n")
	for _, dir := range []string{"functions", "views"} {
		for _, path := range embedded(dir) {
			b.WriteString(readEmbedded(path))
			b.WriteString(";\n")
		}
	}
	return functionsText{b.String(), checksum(b.String())}
})

func embedded(dir string) []string {
	paths, err := fs.Glob(sqlFiles, dir+"/*.sql")
	if err != nil {
		panic(err)
	}
	return paths
}

func readEmbedded(path string) string {
	data, err := sqlFiles.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
