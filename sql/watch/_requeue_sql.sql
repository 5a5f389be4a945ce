create or replace function recovery._requeue_sql(
    p_table regclass, p_close jsonb, p_requeue jsonb, p_attempts text, p_max_attempts integer
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_attempts is null then
        return p_close;
    end if;
    -- While attempts are left the row goes back to the queue; the last one fails, and says so.
    return (
        select jsonb_object_agg(a.attname, recovery._render_sql(
                   'case when coalesce(r.{attempts!i}, 0) + 1 < {max} then {requeue} else {close} end',
                   jsonb_build_object(
                       'attempts', p_attempts,
                       'max', p_max_attempts,
                       'requeue', coalesce(p_requeue ->> a.attname, format('r.%I', a.attname)),
                       'close', coalesce(recovery._gave_up_sql(p_close ->> a.attname, p_max_attempts),
                                         format('r.%I', a.attname)))))
        from pg_attribute as a
        where a.attrelid = p_table and a.attnum > 0 and (p_close ? a.attname or p_requeue ? a.attname)
    ) || jsonb_build_object(p_attempts, format('coalesce(r.%I, 0) + 1', p_attempts));
end
$$;

comment on function recovery._requeue_sql(regclass, jsonb, jsonb, text, integer) is
    'What a closing sets where work is set back to its queue until a number of attempts: '
    'column -> compiled expression.';

revoke all on function recovery._requeue_sql(regclass, jsonb, jsonb, text, integer) from public;
