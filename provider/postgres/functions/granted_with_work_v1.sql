-- Leases the instances of the work items held under a claim, as far as they are free and of a class in p_serves, and returns
-- the rows that describe those held under the claim, also of an earlier try (then p_fresh is false and nothing is leased
-- anew). One that somebody has locked is passed over: its commit waits for the work items that this call holds. No attempt
-- is counted, for no turn is tried yet. The history is bounded, so that a move costs the same however long it is: at most
-- 32 turns and 64 KiB as they are stored, the latest (provider.MaxGrantTurns, provider.MaxGrantBytes).
create or replace function granted_with_work_v1(p_worker bigint, p_claim bigint, p_serves int[], p_fresh boolean) returns setof reply
language plpgsql as $$
declare
  g_part smallint[]; g_iid bigint[]; g_from int[];
begin
  if p_fresh then
    with free as materialized (
      select l.part, l.iid
        from (select distinct w.part, w.iid, w.execution from work w where w.claim = p_claim and w.owner = p_worker) c,
             lateral (select i.part, i.iid from instance i
                       where i.part = c.part and i.iid = c.iid and i.execution = c.execution and coalesce(i.owner, 0) = 0
                         and i.status = 0 and i.parked is null and i.class = any (p_serves)
                         for update skip locked) l)
    update instance i set owner = p_worker, token = p_claim, claim = null
      from free f
     where i.part = f.part and i.iid = f.iid;
    if not found then return; end if;
  end if;
  select array_agg(x.part), array_agg(x.iid), array_agg(x.from_seq) into g_part, g_iid, g_from
    from (select i.part, i.iid,
                 case when i.last_owner = p_worker then -1
                      else coalesce((select min(s.seq)
                                       from (select h.seq, sum(pg_column_size(h.events)) over (order by h.seq desc) size
                                               from (select * from history h
                                                      where h.part = i.part and h.iid = i.iid and h.execution = i.execution
                                                      order by h.seq desc limit 32) h) s
                                      where s.size <= 65536), -1) end from_seq
            from (select distinct w.part, w.iid from work w where w.claim = p_claim and w.owner = p_worker) c
            join instance i on i.part = c.part and i.iid = c.iid and i.owner = p_worker and i.token = p_claim) x;
  if g_iid is not null then
    return query select g.* from granted_v1(p_worker, g_part, g_iid, g_from, null) g;
  end if;
end $$;
