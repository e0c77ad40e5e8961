-- For users, in any transaction of theirs: starts an instance that exists once the transaction commits.
create or replace function start_orchestration(
  name text, input json default null, instance_id text default null, version text default '',
  attributes json default null, priority text default 'normal')
returns text
language plpgsql set search_path from current as $$
declare
  id text := coalesce($3, gen_random_uuid()::text);
  execution uuid := gen_random_uuid();
  started json;
  attribute record;
  e effects;
  readable text := '';      -- the attributes, as the code finds them in the event
  level smallint := array_position(array['lowest', 'low', 'normal', 'high', 'highest'], coalesce($6, 'normal')) - 3;
  answer smallint;
begin
  if coalesce($1, '') = '' then raise exception 'an orchestration needs a name' using errcode = 'invalid_parameter_value'; end if;
  if id = '' then raise exception 'an instance needs an id' using errcode = 'invalid_parameter_value'; end if;
  if greatest(octet_length($1), octet_length(id)) > 255 then
    raise exception 'names and instance ids have at most 255 bytes' using errcode = 'invalid_parameter_value';
  end if;
  if level is null then
    raise exception 'priority "%" is none of lowest, low, normal, high, highest', $6 using errcode = 'invalid_parameter_value';
  end if;
  if json_typeof($5) = 'object' then
    for attribute in select a.key, attribute_form_v1(a.key, a.value) form from json_each($5) a loop
      if attribute.key = any (e.v_key) then
        raise exception 'two attributes "%"', attribute.key using errcode = 'invalid_parameter_value';
      end if;
      e.v_item := e.v_item || 1;
      e.v_key := e.v_key || attribute.key;
      e.v_data := e.v_data || attribute.form;
      e.v_searchable := e.v_searchable || true;
      readable := readable || ',' || to_json(attribute.key) || ':' || attribute.form;
    end loop;
  elsif json_typeof($5) <> 'null' then
    raise exception 'attributes must be a JSON object' using errcode = 'invalid_parameter_value';
  end if;
  started := '[{"type":"ExecutionStarted","name":' || to_json($1)
    || case when coalesce($4, '') <> '' then ',"version":' || to_json($4) else '' end
    || ',"executionId":"' || replace(execution::text, '-', '') || '"'
    || case when $2 is not null then ',"input":{"json":' || $2 || '}' else '' end
    || ',"at":"' || to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'
    || case when level <> 0 then ',"priority":' || to_json($6) else '' end
    || case when readable <> '' then ',"values":{' || substr(readable, 2) || '}' else '' end || '}]';
  select s.statuses[1] into answer
    from start_orchestrations_v1(
           null, array[partition_of(id)], array[id], array[execution],
           register_classes_v1(array[1::smallint], array[$1], array[coalesce($4, '')], array[''],
                               array[level]),
           array[false], null, null, null, array[0::bigint], array[0::smallint], array[false], null, array[1],
           array[started], null, null, null, e, null, null, null, null, null, null, null) s
   where s.kind = 0;
  if answer <> 1 then
    raise exception 'instance % exists already', id using errcode = 'unique_violation';
  end if;
  return id;
end $$;
comment on function start_orchestration(text, json, text, text, json, text) is
  'Starts an orchestration and returns its instance id, a random one if none is given. attributes, an object of strings, numbers and booleans, is what the instance is found by. priority is lowest, low, normal, high or highest: what is more urgent is taken first. Commits or rolls back with the transaction it is called in.';
