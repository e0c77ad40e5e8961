-- The one form in which an attribute is stored, byte for byte that of the Go library: values that are equal must be found by
-- each other. Numbers are whole ones of 64 bits, or fractions of a common size; of others the two do not agree.
create or replace function attribute_form_v1(p_key text, p_value json) returns json
language plpgsql as $$
declare
  number numeric;
  form text;
begin
  case json_typeof(p_value)
    when 'string' then
      form := replace(replace(replace(to_json(p_value #>> '{}')::text, '<', '\u003c'), '>', '\u003e'), '&', '\u0026');
      form := replace(replace(form, U&'\2028', '\u2028'), U&'\2029', '\u2029');
    when 'boolean' then
      form := p_value #>> '{}';
    when 'number' then
      number := (p_value #>> '{}')::numeric;
      if number = trunc(number) and number between -9223372036854775808 and 9223372036854775807 then
        form := trunc(number)::text;
      elsif abs(number) between 0.0001 and 999999999999999 then
        form := number::float8::text;
      end if;
    else
      null;
  end case;
  if form is null then
    raise exception 'attribute "%" must be a string, a boolean or a number of common size, not %', p_key, left(p_value::text, 40)
      using errcode = 'invalid_parameter_value';
  elsif octet_length(form) + 9 > 255 then
    raise exception 'attribute "%": % bytes are over the limit of 246', p_key, octet_length(form) using errcode = 'invalid_parameter_value';
  elsif octet_length(p_key) not between 1 and 255 then
    raise exception 'the key of an attribute has % bytes: want 1 to 255', octet_length(p_key) using errcode = 'invalid_parameter_value';
  end if;
  return '{"json":' || form || '}';
end $$;
