-- The partition of an instance: the first two bytes of the SHA-256 of the id, big endian, modulo the number of
-- partitions. provider.PartitionOf is the same in Go.
create or replace function partition_of(instance_id text) returns smallint
language sql stable strict set search_path from current as $$
  select ((get_byte(h, 0) * 256 + get_byte(h, 1)) % part_count())::smallint
    from (select sha256(convert_to(instance_id, 'UTF8'))) d(h)
$$;
comment on function partition_of(text) is 'Partition of an instance id: first two bytes of its SHA-256 modulo part_count().';
