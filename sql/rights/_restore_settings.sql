create or replace function recovery._restore_settings(p_settings pg_catalog.jsonb)
returns pg_catalog.void
language plpgsql
volatile
security invoker
as $$
-- Without a SET clause: what it sets must stay. All names are qualified.
declare
    v_setting pg_catalog.record;
begin
    for v_setting in
        select s.key, s.value from pg_catalog.jsonb_each_text(p_settings) as s
        where coalesce(s.value, '') operator(pg_catalog.<>) coalesce(pg_catalog.current_setting(s.key, true), '')
    loop
        perform pg_catalog.set_config(v_setting.key, coalesce(v_setting.value, ''), false);
    end loop;
end
$$;

comment on function recovery._restore_settings(jsonb) is
    'Sets back what a trigger or function of the host has changed in this session by a plain SET, which outlives the '
    'transaction: else one table''s code could stop the sweeps of all others. To be called after a commit, when local '
    'settings are gone.';

revoke all on function recovery._restore_settings(jsonb) from public;
