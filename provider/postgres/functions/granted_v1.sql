-- The rows that describe granted instances: one for the item, then its history, then its messages. p_from says where
-- the history begins: an event number, -1 for none at all, null for all unless the worker committed the last turn
-- itself. p_held marks instances that the worker held before.
create or replace function granted_v1(p_worker bigint, p_part smallint[], p_iid bigint[], p_from int[], p_held boolean[])
returns setof reply language plpgsql as $$
begin
  return query
  select 3::smallint,
         (coalesce(u.held, false)::int + case when coalesce(u.from_seq = -1, i.last_owner = p_worker, false) then 2 else 0 end)::smallint,
         i.part, i.iid, i.execution, i.next_seq, i.class, i.attempt, i.token, i.created_at, i.instance_id,
         i.execution_id::text, null::json, null::smallint[], null::bigint[]
    from unnest(p_part, p_iid, p_from, p_held) u(part, iid, from_seq, held)
    join instance i on i.part = u.part and i.iid = u.iid;
  -- Materialized: whatever the planner thinks of the sizes of tables, no history is read that is not returned.
  return query
  with wanted as materialized (
    select i.part, i.iid, i.execution, coalesce(u.from_seq, 0) from_seq
      from unnest(p_part, p_iid, p_from, p_held) u(part, iid, from_seq, held)
      join instance i on i.part = u.part and i.iid = u.iid
     where not coalesce(u.held, false) and u.from_seq is distinct from -1
       and (u.from_seq is not null or i.last_owner is distinct from p_worker))
  select 4::smallint, 0::smallint, h.part, h.iid, h.seq, h.count, 0, 0, h.token, null::timestamptz, null::text,
         null::text, h.events, null::smallint[], null::bigint[]
    from wanted w
    join history h on h.part = w.part and h.iid = w.iid and h.execution = w.execution and h.seq >= w.from_seq
   order by h.part, h.iid, h.seq;
  return query select * from unread_v1(p_part, p_iid, null, null);
end $$;
