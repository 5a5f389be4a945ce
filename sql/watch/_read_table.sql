create or replace function recovery._read_table(p_watch recovery.watch, p_new boolean)
returns recovery.watch
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  recovery.watch := p_watch;
    v_column record;
begin
    v_watch.key_columns := recovery._primary_key(v_watch.relation);
    select array_agg(format_type(a.atttypid, a.atttypmod) order by k.n) into v_watch.key_types
    from unnest(v_watch.key_columns) with ordinality as k (name, n)
    join pg_attribute as a on a.attrelid = v_watch.relation and a.attname = k.name;
    if v_watch.key_columns is null then
        perform recovery._fail('RC006', format('%s has no primary key', v_watch.relation),
            'Events and closings name a row by its primary key.');
    end if;
    if p_new or not exists (
        select from pg_attribute as a
        where a.attrelid = v_watch.relation and a.attname = 'server_epoch' and not a.attisdropped)
    then
        select a.atttypid = 'bigint'::regtype and a.attgenerated = '' and a.attidentity = '' as fits, a.attnotnull
        into v_column
        from pg_attribute as a
        where a.attrelid = v_watch.relation and a.attname = 'server_epoch' and not a.attisdropped;
        v_watch.own_column := not found;
        if found and not v_column.fits then
            perform recovery._fail('RC006',
                format('%s has a column server_epoch that is not bigint, or is generated', v_watch.relation));
        elsif v_column.attnotnull then
            perform recovery._fail('RC006', format('the column server_epoch of %s is not null', v_watch.relation),
                'Let it be null: nobody owns a row that is not open.');
        end if;
    end if;
    return v_watch;
end
$$;

comment on function recovery._read_table(recovery.watch, boolean) is
    'Step of recovery._compile_watch: the primary key of the table and, for a new watch, whether it has a column '
    'server_epoch already. RC006 they do not fit.';

revoke all on function recovery._read_table(recovery.watch, boolean) from public;
