-- Removes the ended instance of an id, with all it has left behind, to make room for another with that first execution; one
-- that the caller has created itself (p_own) stays. False if there is none. True also if somebody else was just doing the same:
-- what he has put there may have ended, too. Hints are left: fetches sweep those of instances that are there no more, and what
-- late senders may still add.
create or replace function remove_ended_v1(p_part smallint, p_id text, p_execution_id uuid, p_own bigint[]) returns boolean
language plpgsql as $$
declare
  ended bigint;
begin
  select i.iid into ended
    from instance i
   where i.part = p_part and i.instance_id = p_id and i.status <> 0
     and coalesce(i.first_execution_id, i.execution_id) <> p_execution_id and i.iid <> all (coalesce(p_own, '{}'));
  if not found then return false; end if;
  delete from instance i where i.part = p_part and i.iid = ended;
  if found then
    delete from history h where h.part = p_part and h.iid = ended;
    delete from value v where v.part = p_part and v.iid = ended;
    delete from work w where w.part = p_part and w.iid = ended;
    delete from timer m where m.part = p_part and m.iid = ended;
    delete from inbox m where m.part = p_part and m.iid = ended;
  end if;
  return true;
end $$;
