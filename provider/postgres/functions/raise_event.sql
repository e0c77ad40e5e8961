-- For users, in any transaction of theirs: sends an external event to a running instance.
create or replace function raise_event(
  instance_id text, event_name text, payload json default null, message_id text default null)
returns void
language plpgsql set search_path from current as $$
declare
  message text := coalesce($4, gen_random_uuid()::text);
  body json;
  answer smallint;
begin
  if coalesce($2, '') = '' then raise exception 'an event needs a name' using errcode = 'invalid_parameter_value'; end if;
  body := '{"type":"EventReceived","awaited":0,"name":' || to_json($2) || ',"messageId":' || to_json(message)
    || case when $3 is not null then ',"payload":{"json":' || $3 || '}' else '' end || '}';
  select s.statuses[1] into answer
    from enqueue_messages_v1(array[partition_of($1)], array[$1], array[1::smallint], array[0],
                             -- Names of nothing but chr(1) are stored with one more: see inboxName.
                             array[$2 || case when btrim($2, chr(1)) = '' then chr(1) else '' end],
                             array[message], array[body]) s;
  if answer = 4 then
    raise exception 'there is no instance %', $1 using errcode = 'no_data_found';
  elsif answer = 5 then
    raise exception 'instance % has ended', $1 using errcode = 'object_not_in_prerequisite_state';
  end if;
end $$;
comment on function raise_event(text, text, json, text) is
  'Sends an external event to a running instance. Commits or rolls back with the transaction it is called in. A second event with the same message_id is dropped by the receiver.';
