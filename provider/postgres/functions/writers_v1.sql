-- Whether other transactions are just writing, in any database of the server, beside those that the caller knows to have
-- been under way for longer. For calls that have written; those that have begun since may be missed.
create or replace function writers_v1(p_open xid8[]) returns boolean
language plpgsql as $$
declare
  s pg_snapshot := pg_current_snapshot();
  beyond bigint := pg_snapshot_xmax(s)::text::bigint;   -- the first number after all transactions that have ended
  own bigint := pg_current_xact_id()::text::bigint;
begin
  return exists (select from pg_snapshot_xip(s) x where x <> all (coalesce(p_open, '{}')))
      or own - beyond > (select count(*) from unnest(p_open) x where x::text::bigint between beyond and own);
end $$;
