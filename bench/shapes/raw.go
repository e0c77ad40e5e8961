package main

import (
	"context"

	"github.com/jackc/pgx/v5"
)

const rawSQL = `
drop schema if exists shapes_raw cascade;
create schema shapes_raw;
create table shapes_raw.raw (
  id bigint generated always as identity primary key,
  data bytea not null
) with (autovacuum_enabled = false);`

// rawCell measures the yardstick of every ratio: one prepared insert of a
// 200 byte row, committed by itself.
type rawCell struct{}

// create makes the table of the yardstick anew.
func (rawCell) create(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, rawSQL)
	return err
}

// sessions implements cell.
func (rawCell) sessions() int { return 1 }

// units implements cell.
func (rawCell) units() int { return 1 }

// settings implements cell.
func (rawCell) settings() [][2]string { return nil }

// open implements cell.
func (rawCell) open(ctx context.Context, _ *bench, conn *pgx.Conn) (func(context.Context) error, error) {
	const name = "raw"
	if _, err := conn.Prepare(ctx, name, "insert into shapes_raw.raw (data) values ($1)"); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := conn.Exec(ctx, name, inputPayload)
		return err
	}, nil
}

// roundTripCell measures an empty round trip: a prepared select of a constant.
type roundTripCell struct{}

// sessions implements cell.
func (roundTripCell) sessions() int { return 1 }

// units implements cell.
func (roundTripCell) units() int { return 1 }

// settings implements cell.
func (roundTripCell) settings() [][2]string { return nil }

// open implements cell.
func (roundTripCell) open(ctx context.Context, _ *bench, conn *pgx.Conn) (func(context.Context) error, error) {
	const name = "round_trip"
	if _, err := conn.Prepare(ctx, name, "select 1"); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := conn.Exec(ctx, name)
		return err
	}, nil
}
