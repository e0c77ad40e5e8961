-- Marks the worker as sleeping for classes of instances, of work, or both; a mark that nobody has rung stays as it is.
-- Whoever queued something before the mark could be seen has not notified the worker. p_since is a snapshot from before the
-- caller's last look. The answer has 1 if somebody may have committed since: look once more. It has 2 if somebody may still
-- commit something that he queued before, beside the transactions that are known to last (p_open): look again in a moment.
create or replace function fall_asleep_v1(p_worker bigint, p_turns int[], p_work int[], p_open xid8[], p_since pg_snapshot)
returns int
language plpgsql as $$
declare
  awake record;        -- what is to be marked
  p presence;
  s pg_snapshot := p_since;
  number bigint;       -- of the (sub)transaction that has marked: nobody with a higher one has missed the mark
  beyond bigint;
  answer int := 0;
begin
  select s.n, s.turns_mark, s.work_mark, s.number,
         p_turns is not null and (s.turns is distinct from p_turns or exists (select from rung where mark = s.turns_mark)) turns,
         p_work is not null and (s.work is distinct from p_work or exists (select from rung where mark = s.work_mark)) work
    into awake
    from (select *, xmin::text::bigint number from presence where worker = p_worker order by n desc limit 1) s;
  if not found then return 0; end if;
  number := awake.number;
  if awake.turns or awake.work then
    delete from presence where worker = p_worker and n = awake.n returning * into p;
    if not found then p := presence_v1(p_worker); end if;
    if p.worker is null then return 0; end if;
    delete from rung where mark in (case when awake.turns then awake.turns_mark end, case when awake.work then awake.work_mark end);
    if awake.turns then p.turns := p_turns; p.turns_mark := nextval('arrival'); end if;
    if awake.work then p.work := p_work; p.work_mark := nextval('arrival'); end if;
    -- In a subtransaction, because that gets a number now. Whoever has seen the old row before it was taken away, which
    -- shows, and had written something by then, has a lower one.
    begin
      insert into presence (worker, n, beat, beat_at, turns, turns_mark, work, work_mark)
      values (p_worker, p.n + 1, p.beat, p.beat_at, p.turns, p.turns_mark, p.work, p.work_mark)
      returning xmin::text::bigint into number;
    exception when others then
      raise;
    end;
    s := pg_current_snapshot();
    if pg_snapshot_xmax(p_since) <> pg_snapshot_xmax(s) or pg_snapshot_xmin(p_since) <> pg_snapshot_xmax(p_since) then
      answer := 1;
    end if;
  end if;
  -- A snapshot lists those under way that are below its xmax, which is the first number after all that have ended. The
  -- number of the row is the lower half only.
  beyond := pg_snapshot_xmax(s)::text::bigint;
  number := number + (beyond >> 32 << 32);
  number := number + case when number > beyond + (1::bigint << 31) then -(1::bigint << 32)
                          when number < beyond - (1::bigint << 31) then 1::bigint << 32 else 0 end;
  if pg_snapshot_xmin(s)::text::bigint < number
     and (exists (select from pg_snapshot_xip(s) x where x::text::bigint < number and x <> all (coalesce(p_open, '{}')))
          or number > beyond and number - beyond - (pg_current_xact_id_if_assigned()::text::bigint between beyond and number)::int
             > (select count(*) from unnest(p_open) x where x::text::bigint between beyond and number)) then
    answer := answer | 2;
  end if;
  return answer;
end $$;
