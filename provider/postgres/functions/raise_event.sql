-- For users, in any transaction of theirs: sends an external event to a running instance.
create or replace function raise_event(
  instance_id text, event_name text, payload json default null, message_id text default null)
returns void
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  message text := coalesce($4, gen_random_uuid()::text);
  body json;
begin
  if coalesce($2, '') = '' then raise exception 'an event needs a name' using errcode = 'invalid_parameter_value'; end if;
  if greatest(octet_length($2), octet_length(message)) > 255 then
    raise exception 'names of events and ids of messages have at most 255 bytes' using errcode = 'invalid_parameter_value';
  end if;
  if starts_with($2, 'pawl:') then
    raise exception 'names of events that begin with pawl: are reserved' using errcode = 'invalid_parameter_value';
  end if;
  body := '{"type":"EventReceived","awaited":0,"name":' || to_json($2) || ',"messageId":' || to_json(message)
    || case when $3 is not null then ',"payload":{"json":' || $3 || '}' else '' end || '}';
  perform send_v1($1, 1::smallint, $2 || case when btrim($2, chr(1)) = '' then chr(1) else '' end, message, body);
end $$;
comment on function raise_event(text, text, json, text) is
  'Sends an external event to a running instance. Commits or rolls back with the transaction it is called in. A second event with the same message_id is dropped by the receiver.';
