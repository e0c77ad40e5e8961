-- For users, in any transaction of theirs: lets a parked instance go on.
create or replace function resume_orchestration(instance_id text)
returns void
language plpgsql set search_path from current as $$
declare
  answer smallint;
begin
  select s.statuses[1] into answer from resume_instances_v1(array[partition_of($1)], array[$1]) s;
  perform refuse_v1(answer, $1);
end $$;
comment on function resume_orchestration(text) is
  'Lets an instance go on that was suspended, or parked for whatever reason. Commits or rolls back with the transaction it is called in.';
