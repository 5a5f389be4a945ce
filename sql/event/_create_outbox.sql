create or replace function recovery._create_outbox(p_outbox integer, p_family text)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_names  text;
    v_name   text;
    v_column record;
begin
    select string_agg(quote_literal(w.name), ', ' order by w.id) into v_names from recovery.watch as w
        where w.family = p_family;
    -- What a view checks is made ready anew by each statement, for the outbox and again for its partition. So writers,
    -- who append one event at a time, have one that checks little.
    execute recovery._render_sql($sql$
        create or replace view recovery.outbox_{outbox} as
        select e.at, e.server_epoch, e.watch, e.kind, e.topic, e.key, e.group_key, e.reason, e.detector, e.old, e.new,
               e.keys, e.group_keys
        from recovery.outbox as e
        where e.watch in ({names})
          and case when e.keys is null then e.key is not null and e.group_keys is null
                   else e.key is null and e.group_key is null and array_ndims(e.keys) = 1
                       and cardinality(e.keys) <= 100 end
        with check option;
        create or replace view recovery.outbox_{outbox}_single as
        select e.at, e.server_epoch, e.watch, e.kind, e.topic, e.key, e.group_key, e.reason, e.detector, e.old, e.new
        from recovery.outbox as e
        where e.watch in ({names}) and e.key is not null
        with check option;
        $sql$, jsonb_build_object('outbox', p_outbox, 'names', v_names));
    execute format('comment on view recovery.outbox_%s is %L', p_outbox, format(
        'Through this the runner of family "%s" appends events of its watches, and no others.', p_family));
    execute format('comment on view recovery.outbox_%s_single is %L', p_outbox, format(
        'As recovery.outbox_%s, one event in a record: for the triggers of family "%s".', p_outbox, p_family));
    foreach v_name in array recovery._outbox_views(p_outbox) loop
        for v_column in
            select a.attname as name, col_description('recovery.outbox'::regclass, e.attnum) as text
            from pg_attribute as a join pg_attribute as e on e.attname = a.attname
            where a.attrelid = v_name::regclass and e.attrelid = 'recovery.outbox'::regclass and a.attnum > 0
        loop
            execute format('comment on column %s.%I is %L', v_name, v_column.name, v_column.text);
        end loop;
    end loop;
end
$$;

comment on function recovery._create_outbox(integer, text) is
    'Makes the views by which a family''s runner may insert events: those of the family''s watches.';

revoke all on function recovery._create_outbox(integer, text) from public;
