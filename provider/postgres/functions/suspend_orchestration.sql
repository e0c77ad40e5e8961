-- For users, in any transaction of theirs: parks an instance.
create or replace function suspend_orchestration(instance_id text, reason text default null)
returns void
language plpgsql set search_path from current as $$
declare
  parked json := '{"reason":"suspended"' || coalesce(',"detail":' || to_json(nullif($2, '')), '') || '}';
  answer smallint;
begin
  select s.statuses[1] into answer from suspend_instances_v1(array[partition_of($1)], array[$1], parked) s;
  perform refuse_v1(answer, $1);
end $$;
comment on function suspend_orchestration(text, text) is
  'Keeps a running instance from going on until resume_orchestration. Activities that are running end, their results are kept. Commits or rolls back with the transaction it is called in; until then whoever runs the instance waits with its next commit.';
