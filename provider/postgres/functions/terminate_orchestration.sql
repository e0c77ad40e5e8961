-- For users, in any transaction of theirs: ends an instance at once, whoever runs it.
create or replace function terminate_orchestration(instance_id text, reason text default null, children boolean default false)
returns void
language plpgsql set search_path from current as $$
declare
  event json := '{"type":"ExecutionTerminated"' || coalesce(',"reason":' || to_json(nullif($2, '')), '') || '}';
  failed json := '{"type":"ChildFailed","scheduled":0,"failure":{"kind":"terminated","message":'
    || to_json(coalesce(nullif($2, ''), 'terminated')) || '}}';
  answer smallint;
begin
  select s.statuses[1] into answer
    from terminate_instances_v1(array[partition_of($1)], array[$1], array[json_build_array(event)], array[failed],
                                array[coalesce($3, false)]) s;
  perform refuse_v1(answer, $1);
end $$;
comment on function terminate_orchestration(text, text, boolean) is
  'Ends a running instance at once; with children, those of its children that are running, and theirs, too. No code of theirs runs any more; a parent learns that its child was terminated. Commits or rolls back with the transaction it is called in; until then whoever runs the instance waits with its next commit.';
