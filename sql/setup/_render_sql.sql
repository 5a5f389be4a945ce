create or replace function recovery._render_sql(p_template text, p_holes jsonb)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* {relation} is replaced by the value of that name as it is, {watch!l} by a literal, {column!i} by an identifier.
   Values are inserted and not looked at: expressions of a host may hold braces. Any other brace stays.

   A template that begins with a line break may be indented like the code around it: the indentation of its last
   line, which holds nothing else, is taken from all its lines. A line that holds nothing but one hole goes away
   where the value is empty. */
declare
    v_indent   text := E'\n' || repeat(' ', length(p_template) - length(rtrim(p_template, ' ')));
    v_template text := case when p_template like E'\n%' || v_indent
        then substr(replace(left(p_template, - length(v_indent)), v_indent, E'\n'), 2) else p_template end;
    v_parts    text[] := string_to_array(v_template, '{');
    v_text     text := coalesce(v_parts[1], '');
    v_used     text[] := '{}';
    v_part     text;
    v_hole     text;
    v_name     text;
    v_value    text;
    v_rest     text;
begin
    foreach v_part in array v_parts[2:] loop
        v_name := split_part(v_part, '}', 1);
        v_hole := v_name;
        v_value := p_holes ->> v_name;
        if v_value is null and v_part ~ '^[a-z_]+(![a-z]*)?\}' then
            v_name := split_part(v_hole, '!', 1);
            if p_holes ? v_name then
                v_value := case right(v_hole, 2)
                    when '!l' then quote_nullable(p_holes ->> v_name)
                    when '!i' then quote_ident(p_holes ->> v_name) end;
            end if;
            if v_value is null then
                raise exception 'hole {%} of a template has no value, or no such form', v_hole;
            end if;
        elsif v_value is null or v_hole = v_part then
            v_text := v_text || '{' || v_part;
            continue;
        end if;
        v_used := v_used || v_name;
        v_rest := substr(v_part, length(v_hole) + 2);
        if v_value = '' and (v_rest = '' or left(v_rest, 1) = E'\n') and right(rtrim(v_text, ' '), 1) = E'\n' then
            v_text := rtrim(v_text, ' ');
            v_rest := substr(v_rest, 2);
        end if;
        v_text := v_text || v_value || v_rest;
    end loop;
    if p_holes - v_used <> '{}' then
        raise exception 'a template has no hole for %',
            (select string_agg(k, ', ') from jsonb_object_keys(p_holes - v_used) as k);
    end if;
    return v_text;
end
$$;

comment on function recovery._render_sql(text, jsonb) is
    'Fills the named holes of a template of SQL: {a} as it is, {a!l} as a literal, {a!i} as an identifier. '
    'Fails on a hole without a value and on a value without a hole.';

revoke all on function recovery._render_sql(text, jsonb) from public;
