package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// applicationID marks a database file as one of Pawl's ("PAWL" in ASCII), so that a path that names some other
// program's database is refused and not changed.
const applicationID = 0x5041574c

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered step of the schema.
type migration struct {
	version int
	sql     string
}

// loadMigrations reads the embedded steps in order; their numbers are 1, 2, 3 and so on.
func loadMigrations() ([]migration, error) {
	entries, err := fs.ReadDir(migrationFiles, "migrations") // sorted by name
	if err != nil {
		return nil, err
	}
	steps := make([]migration, 0, len(entries))
	for i, entry := range entries {
		number, _, _ := strings.Cut(entry.Name(), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s is out of order", entry.Name())
		}
		text, err := fs.ReadFile(migrationFiles, "migrations/"+entry.Name())
		if err != nil {
			return nil, err
		}
		steps = append(steps, migration{version, string(text)})
	}
	return steps, nil
}

// migrate brings the schema up to this binary's version. The write lock serialises processes that open the file at the
// same time; whoever comes second finds nothing left to do.
func migrate(ctx context.Context, conn *sql.Conn) error {
	steps, err := loadMigrations()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if done, err := compareVersion(version, len(steps)); done || err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := applyMigrations(ctx, conn, steps); err != nil {
		// The error that matters is the one that stopped the migration.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

func applyMigrations(ctx context.Context, conn *sql.Conn, steps []migration) error {
	version, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if done, err := compareVersion(version, len(steps)); done || err != nil {
		return err
	}
	for _, step := range steps[version:] {
		if _, err := conn.ExecContext(ctx, step.sql); err != nil {
			return fmt.Errorf("migration %d: %w", step.version, err)
		}
	}
	_, err = conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", len(steps), applicationID))
	return err
}

// describeFile is one statement, so that it never sees half of what another process is making.
const describeFile = `SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)
  FROM pragma_user_version, pragma_application_id`

// schemaVersion returns the version of the schema in the file, 0 for a new one.
func schemaVersion(ctx context.Context, conn *sql.Conn) (int, error) {
	var version, application, tables int
	if err := conn.QueryRowContext(ctx, describeFile).Scan(&version, &application, &tables); err != nil {
		return 0, err
	}
	if application == applicationID {
		return version, nil
	}
	if version != 0 || application != 0 || tables != 0 {
		return 0, errForeignDatabase
	}
	return 0, nil
}

// compareVersion reports whether the schema is up to date, or an error if it is newer than this binary.
func compareVersion(have, want int) (bool, error) {
	if have > want {
		return false, fmt.Errorf("the schema has version %d, this program knows versions up to %d: use a newer program", have, want)
	}
	return have == want, nil
}
