-- Puts one message of a user into an inbox, or raises why not. Names of nothing but chr(1) are to have one more: see inboxName.
create or replace function send_v1(p_instance_id text, p_kind smallint, p_name text, p_id text, p_body json) returns void
language plpgsql as $$
declare
  sent delivery;
begin
  sent := put_messages_v1(0, array[partition_of(p_instance_id)], array[p_instance_id], array[p_kind], array[0], array[p_name],
                          array[p_id], array[p_body], null, null, '{}', '{}', clock_timestamp());
  perform refuse_v1(sent.statuses[1], p_instance_id);
  if sent.ready is not null or sent.owners is not null then
    perform notify_listeners_v1(sent.ready, sent.owners, null, null);
  end if;
end $$;
