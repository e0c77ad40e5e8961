-- Takes away the row of a live worker, to be replaced by its successor; null if it is not alive. Only calls of the worker
-- itself want it.
create or replace function presence_v1(p_worker bigint) returns presence
language plpgsql as $$
declare
  newest bigint;
  r presence;
begin
  for try in 1..10 loop
    select n into newest from presence where worker = p_worker order by n desc limit 1;
    exit when not found;
    delete from presence where worker = p_worker and n = newest returning * into r;
    exit when found;   -- or it was replaced while this waited for it
  end loop;
  return r;
end $$;
