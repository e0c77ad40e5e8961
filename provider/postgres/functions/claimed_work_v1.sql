-- The rows that describe the work items held under a claim, in the order in which claim_work_v1 takes them.
create or replace function claimed_work_v1(p_worker bigint, p_claim bigint, p_classes int[], p_ranks smallint[]) returns setof reply
language sql stable as $$
  select 5::smallint, 0::smallint, w.part, w.iid, w.execution, w.event, w.class, w.attempt, w.token, w.due,
         i.instance_id, w.state::text, w.input, null::smallint[], null::bigint[]
    from work w
    join instance i on i.part = w.part and i.iid = w.iid
   where w.claim = p_claim and w.owner = p_worker
   order by w.home is null, case when w.home is null then p_ranks[array_position(p_classes, w.class)] end, w.due
$$;
