package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SchemaPrefix begins the name of every schema that a measurement makes. One whose process was killed stays behind and
// is found by it.
const SchemaPrefix = "pawl_bench_"

// CreateSchema makes a schema with a random name in the database of a URL, to be dropped with DropSchema.
func CreateSchema(ctx context.Context, url string) (name string, err error) {
	var random [6]byte
	rand.Read(random[:])
	name = SchemaPrefix + hex.EncodeToString(random[:])
	err = execOnce(ctx, url, "create schema "+quote(name))
	if err != nil && ctx.Err() != nil { // it may have been made all the same
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return "", errors.Join(err, DropSchema(cleanup, url, name))
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == "42501" { // insufficient_privilege
		return "", fmt.Errorf("a benchmark makes a schema of its own, which needs the right CREATE on the database: %w", err)
	}
	if err != nil {
		return "", err
	}
	return name, nil
}

// DropSchema drops a schema with everything in it.
func DropSchema(ctx context.Context, url, name string) error {
	if err := execOnce(ctx, url, "drop schema if exists "+quote(name)+" cascade"); err != nil {
		return fmt.Errorf("schema %s is not dropped: %w", name, err)
	}
	return nil
}

// execOnce executes a statement on a connection of its own.
func execOnce(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, "set client_min_messages = warning; "+sql).ReadAll()
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// quote writes an identifier as SQL.
func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }
