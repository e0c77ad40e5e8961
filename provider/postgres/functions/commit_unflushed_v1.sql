-- Lets the call's commit return before it is on disk: leases and beats may be lost with the server, whole, and any
-- durable commit that builds on them flushes them first. Not inside a transaction that has written something already.
create or replace function commit_unflushed_v1() returns void language plpgsql as $$
begin
  if pg_current_xact_id_if_assigned() is null then
    perform set_config('synchronous_commit', 'off', true);
  end if;
end $$;
