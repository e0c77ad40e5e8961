-- Raises what keeps a function for users from doing something to one instance: 4 there is none, 5 it has ended.
create or replace function refuse_v1(p_answer smallint, p_instance_id text) returns void language plpgsql as $$
begin
  if p_answer = 4 then
    raise exception 'there is no instance %', p_instance_id using errcode = 'no_data_found';
  elsif p_answer = 5 then
    raise exception 'instance % has ended', p_instance_id using errcode = 'object_not_in_prerequisite_state';
  end if;
end $$;
