-- Turns of an execution (0: the current one) from event p_from on, kind 4, until about p_max_bytes are reached. The
-- instance is named by its key or, if p_iid is 0, by its id.
create or replace function read_history_v1(
  p_part smallint, p_iid bigint, p_id text, p_execution int, p_from int, p_max_bytes bigint)
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  h history;
  r reply;
  size bigint := 0;
begin
  if p_iid = 0 then
    select i.iid, case when p_execution = 0 then i.execution else p_execution end into p_iid, p_execution
      from instance i where i.part = p_part and i.instance_id = p_id;
  elsif p_execution = 0 then
    select i.execution into p_execution from instance i where i.part = p_part and i.iid = p_iid;
  end if;
  r.kind := 4; r.flags := 0; r.part := p_part; r.iid := p_iid;
  for h in
    select * from history s
     where s.part = p_part and s.iid = p_iid and s.execution = p_execution and s.seq >= p_from
     order by s.seq
  loop
    size := size + octet_length(h.events::text);
    exit when size > p_max_bytes and r.n2 is not null;
    r.n1 := h.seq; r.n2 := h.count; r.num := h.token; r.body := h.events;
    return next r;
  end loop;
end $$;
