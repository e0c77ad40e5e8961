-- Continue-as-new: the next execution of instances whose commit has just ended the current one (p_next_id not null). A
-- released instance gets a hint in the queue of its new class, whose number is returned.
create or replace function begin_executions_v1(
  p_part smallint[], p_iid bigint[], p_request bigint[], p_keep boolean[],
  p_next_id uuid[], p_next_class int[], p_next_events json[])
returns int[] language plpgsql as $$
begin
  update instance i
     set execution = i.execution + 1, next_seq = 1, execution_id = u.next_id, class = u.next_class, waits = null,
         first_execution_id = coalesce(i.first_execution_id, i.execution_id)
    from unnest(p_part, p_iid, p_next_id, p_next_class) u(part, iid, next_id, next_class)
   where i.part = u.part and i.iid = u.iid and u.next_id is not null;
  insert into history (part, iid, execution, seq, count, token, events)
  select i.part, i.iid, i.execution, 0, 1, u.request, u.events
    from unnest(p_part, p_iid, p_request, p_next_id, p_next_events) u(part, iid, request, next_id, events)
    join instance i on i.part = u.part and i.iid = u.iid
   where u.next_id is not null;
  if true = all (p_keep) then return null; end if;
  insert into hint (part, class, due, iid)
  select u.part, u.class, clock_timestamp(), u.iid
    from unnest(p_part, p_iid, p_next_class, p_keep) u(part, iid, class, keep)
   where u.iid is not null and u.class is not null and not u.keep;
  return array(select u.class from unnest(p_iid, p_next_class, p_keep) u(iid, class, keep)
                where u.iid is not null and u.class is not null and not u.keep);
end $$;
