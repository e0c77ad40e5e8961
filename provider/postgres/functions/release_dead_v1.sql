-- Takes everything from the workers that were reaped or have retired and are due for a look, and returns the classes of
-- what became claimable. One look is not enough: a call that was still under way may take something afterwards. So the
-- row of a dead worker stays for an hour, and is looked at in growing intervals; at once if something was locked.
create or replace function release_dead_v1(t timestamptz) returns int[]
language plpgsql as $$
declare
  ready int[];
  dead worker;
begin
  for dead in select * from worker where look_at <= t for update skip locked loop
    ready := ready || release_worker_v1(dead.id);
    if exists (select from instance i where i.owner = dead.id)
       or exists (select from work w where w.owner = dead.id and w.claim is not null)
       or exists (select from work w where w.home = dead.id and w.owner is null) then
      continue;
    elsif dead.reaped_at < t - interval '1 hour' then
      delete from worker where id = dead.id;
    else
      update worker set look_at = t + greatest(t - reaped_at, interval '5 seconds') where id = dead.id;
    end if;
  end loop;
  return ready;
end $$;
