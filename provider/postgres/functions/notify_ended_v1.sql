-- The notification of ack_one_v1: an instance that somebody watches has ended.
create or replace function notify_ended_v1(p_part smallint, p_iid bigint) returns void
language plpgsql set search_path from current as $$
begin
  perform notify_listeners_v1(null, null, array[p_part], array[p_iid]);
end $$;
