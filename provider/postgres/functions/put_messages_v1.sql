-- Puts messages into the inboxes of their targets. Senders lock no instance: they insert the message and a hint. A
-- message whose p_take is a request id asks for its target: if that is free it is granted under the id and gets no
-- hint; a target locked by somebody else is passed over, never waited for (crossing messages would deadlock).
-- p_own are the instances whose inbox the caller itself reads later in the call: neither hint nor grant. p_items are those of
-- all items of the call, refused ones too: no grant, for the repeat could not tell it from what the item itself was given.
create or replace function put_messages_v1(
  p_worker bigint, p_part smallint[], p_target text[], p_kind smallint[], p_execution int[], p_name text[], p_id text[],
  p_body json[], p_take bigint[], p_serves int[], p_own bigint[], p_items bigint[], t timestamptz)
returns delivery language plpgsql as $$
declare
  r delivery;
  iids bigint[];
  classes int[];
begin
  select array_agg(x.iid), array_agg(x.class), array_agg(x.answer) into iids, classes, r.statuses
    from (select i.iid, i.class, (case when i.iid is null then 4 when i.status <> 0 then 5 else 1 end)::smallint answer
            from unnest(p_part, p_target) with ordinality u(part, target, n)
            left join instance i on i.part = u.part and i.instance_id = u.target
           order by u.n) x;
  if 1 <> all (r.statuses) then return r; end if;

  insert into inbox (part, iid, name, kind, execution, message_id, body, at)
  select u.part, u.iid, u.name, u.kind, u.execution, u.id, u.body, t
    from unnest(p_part, iids, r.statuses, p_name, p_kind, p_execution, p_id, p_body)
         with ordinality u(part, iid, answer, name, kind, execution, id, body, n)
   where u.answer = 1
   order by u.n;

  if p_take is not null then
    with wanted as (
      select distinct on (u.iid) u.part, u.iid, u.take
        from unnest(p_part, iids, r.statuses, p_take) with ordinality u(part, iid, answer, take, n)
       where u.answer = 1 and u.take <> 0 and u.iid <> all (p_items)
       order by u.iid, u.n),
    free as materialized (
      select i.part, i.iid, w.take
        from wanted w,
             lateral (select i.part, i.iid from instance i
                       where i.part = w.part and i.iid = w.iid and coalesce(i.owner, 0) = 0 and i.status = 0
                         and i.parked is null and i.class = any (p_serves)
                         for update skip locked) i),
    granted as (
      update instance i
         set owner = p_worker, token = f.take, claim = null, attempt = i.attempt + 1
        from free f
       where i.part = f.part and i.iid = f.iid
      returning i.part, i.iid)
    select array_agg(g.part), array_agg(g.iid), array_agg(null::int) into r.grant_part, r.grant_iid, r.grant_from
      from granted g;
  end if;

  -- Also an instance that has ended and was removed since it was looked up gets a hint: with that a fetch sweeps the message.
  with left_over as (
    select u.part, coalesce(i.class, u.class) as class, u.iid, i.owner
      from unnest(p_part, iids, classes, r.statuses) u(part, iid, class, answer)
      left join instance i on i.part = u.part and i.iid = u.iid
     where u.answer = 1 and u.iid <> all (p_own) and u.iid <> all (coalesce(r.grant_iid, '{}'))),
  hinted as (
    insert into hint (part, class, due, iid) select part, class, clock_timestamp(), iid from left_over)
  select array_agg(class) filter (where owner is null), array_agg(owner) filter (where owner <> p_worker)
    into r.ready, r.owners
    from left_over;
  return r;
end $$;
