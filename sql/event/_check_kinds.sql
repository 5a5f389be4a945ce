create or replace function recovery._check_kinds(p_kinds text[])
returns void
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    c_known   constant text[] := array['opened', 'reopened', 'closed', 'requeued', 'deleted', 'adopted', 'failed',
                                       'idle', 'cancel', 'broken', 'repaired', 'gap'];
    v_unknown text;
begin
    select k.kind into v_unknown from unnest(p_kinds) as k (kind) where k.kind <> all (c_known) limit 1;
    if found then
        perform recovery._fail('RC010', format('there are no events of kind %s', quote_literal(left(v_unknown, 60))),
            format('Kinds are %s.', array_to_string(c_known, ', ')));
    end if;
end
$$;

comment on function recovery._check_kinds(text[]) is
    'Refuses kinds of events that there are not: who waits for them would wait for ever. RC010.';

revoke all on function recovery._check_kinds(text[]) from public;
