create or replace function recovery._make_runner_function(p_runner recovery.runner, p_owner text)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $function$
/* The runner executes the host's code, and so it owns the function that executes what it is given. An owner can alter
   its function, and host code is the runner while it runs: it could make it security invoker, and whoever calls it
   next would run the code. So it stands in a schema that is open to recovery_owner alone: nobody else can name it. */
declare
    v_call text := format('recovery_private.run_%s(text, recovery.task, text)', p_runner.id);
begin
    execute recovery._render_sql($sql$
        create or replace function recovery_private.run_{id}(p_sql text, p_task recovery.task, p_mode text)
        returns setof jsonb
        language plpgsql
        volatile
        security definer
        set search_path = pg_catalog, pg_temp
        set standard_conforming_strings = on
        as $body$
        declare
            v_rows   refcursor;
            v_answer jsonb;
        begin
            if p_mode = 'read' then
                return query execute p_sql using p_task;
            elsif p_mode = 'write' then
                -- Read and planned by our search_path, executed by that of the host's writers: its triggers see theirs.
                open v_rows no scroll for execute p_sql using p_task;
                perform pg_catalog.set_config('search_path', p_task.path, true);
                loop
                    fetch v_rows into v_answer;
                    exit when not found;
                    return next v_answer;
                end loop;
                close v_rows;
                -- A deferred constraint would fail at commit, where nothing could be split any more; and a
                -- deferred trigger would run there, up to PostgreSQL 17 as whoever called us.
                set constraints all immediate;
            else
                execute p_sql using p_task;
                if p_mode = 'compile' then
                    -- How PostgreSQL prints the expression of a view, its type, and what it uses. Every name is
                    -- qualified: the text will be trusted, and the runner can alter the search_path of this function.
                    return query select pg_catalog.jsonb_build_object(
                        'text', pg_catalog.pg_get_viewdef(a.attrelid),
                        'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                        'uses', (
                            select pg_catalog.jsonb_agg(
                                pg_catalog.jsonb_build_array(d.refclassid, d.refobjid, d.refobjsubid))
                            from pg_catalog.pg_rewrite as w join pg_catalog.pg_depend as d
                              on d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                             and d.objid operator(pg_catalog.=) w.oid
                            where w.ev_class operator(pg_catalog.=) a.attrelid))
                    from pg_catalog.pg_attribute as a
                    where a.attrelid operator(pg_catalog.=) p_task.key::pg_catalog.regclass
                      and a.attnum operator(pg_catalog.=) 1;
                end if;
            end if;
        end
        $body$
        $sql$, jsonb_build_object('id', p_runner.id));
    execute format('comment on function %s is %L', v_call,
        format('Executes a statement with the rights of %I, for tables of %I.', p_runner.role, p_owner));
    execute format('grant create on schema recovery_private to %I', p_runner.role);
    execute format('alter function %s owner to %I', v_call, p_runner.role);
    execute format('revoke create on schema recovery_private from %I', p_runner.role);
    execute format('revoke all on function %s from public', v_call);
    execute format('grant execute on function %s to recovery_owner', v_call);
end
$function$;

comment on function recovery._make_runner_function(recovery.runner, text) is
    'Makes, or repairs, the function by which a runner executes statements, which belongs to it. '
    'For recovery._make_runner.';

revoke all on function recovery._make_runner_function(recovery.runner, text) from public;
