create or replace function recovery._rename_sql(p_expression text, p_renames jsonb)
returns text
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
/* Tokens: a string with the type to which it is cast, a name with all its parts, any other character. */
declare
    c_name  constant text := '(?:"(?:[^"]|"")*"|[a-zA-Z_][a-zA-Z0-9_$]*)';
    v_text   text := '';
    v_rest   text := p_expression;
    v_token  text;
    v_parts  text[];
    v_type   text;
    v_value  text;
    v_schema boolean;
begin
    for v_token, v_parts in
        select t.m[1], t.m[2:4]
        from regexp_matches(p_expression, replace(
            $re$((?:('(?:[^']|'')*')::(NAME(?:\.NAME)*)(\[\])?)|'(?:[^']|'')*'|NAME(?:\.NAME)*|.)$re$, 'NAME', c_name),
            'g') as t (m)
    loop
        v_rest := substr(v_rest, length(v_token) + 1);
        if v_parts[1] is not null then
            v_type := v_parts[2];
            v_value := replace(substr(v_parts[1], 2, length(v_parts[1]) - 2), $q$''$q$, $q$'$q$);
            if v_parts[3] is not null and p_renames ? ('labels ' || v_type) then
                select array_agg(coalesce(p_renames ->> (v_type || '/' || a.label), a.label) order by a.n)::text
                into v_value from unnest(v_value::text[]) with ordinality as a (label, n);
            else
                v_value := coalesce(p_renames ->> (v_type || '/' || v_value), v_value);
            end if;
            if p_renames ? v_type or p_renames ? ('labels ' || v_type) then
                v_token := quote_literal(v_value) || '::' || coalesce(p_renames ->> v_type, v_type)
                    || coalesce(v_parts[3], '');
            end if;
        elsif v_token ~ '^[a-zA-Z_"]' then
            v_value := substring(v_token from '\.' || c_name || '$');
            -- Of a schema r, and not of the row.
            v_schema := v_token like 'r.%' and (v_rest like '(%' or right(v_text, 9) ~ '(::|OPERATOR\(|COLLATE )$'
                or p_renames ? ('from ' || v_token));
            if v_token like 'r.%' and not v_schema then
                v_token := 'r.' || coalesce(p_renames ->> ('row' || substr(v_token, 2)), substr(v_token, 3));
            elsif v_token !~ '^[rc]\.' and v_token ~ ('^' || c_name || '\.' || c_name || '$')
                and p_renames ? v_value and v_rest !~ '^\('
            then
                v_token := left(v_token, - length(v_value)) || '.' || (p_renames ->> v_value);
            elsif p_renames ? v_token then
                -- A table without an alias is called by its name in the rest of the expression.
                v_token := (p_renames ->> v_token) || case
                    when p_renames ? ('from ' || v_token) and v_rest !~ '^\s+[a-z_"]' then ' ' || substr(v_value, 2)
                    else '' end;
            end if;
        end if;
        v_text := v_text || v_token;
    end loop;
    return v_text;
end
$$;

comment on function recovery._rename_sql(text, jsonb) is
    'A compiled expression with other names in place of some: p_renames as recovery._rename_map makes it.';

revoke all on function recovery._rename_sql(text, jsonb) from public;
