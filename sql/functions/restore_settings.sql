create or replace function recovery.restore_settings(p_settings jsonb)
returns void
language plpgsql
volatile
security invoker
as $$
-- Without a SET clause: what it sets must stay. All names are qualified.
declare
    v_setting record;
begin
    for v_setting in
        select s.key, s.value from pg_catalog.jsonb_each_text(p_settings) as s
        where s.value is distinct from pg_catalog.current_setting(s.key, true) and s.value is not null
           or s.value is null and pg_catalog.current_setting(s.key, true) operator(pg_catalog.<>) ''
    loop
        perform pg_catalog.set_config(v_setting.key, coalesce(v_setting.value, ''), false);
    end loop;
end
$$;

comment on function recovery.restore_settings(jsonb) is
    'Sets back what a trigger or function of the host has changed in this session by a plain SET, which outlives the transaction: else one table''s code could stop the sweeps of all others. To be called after a commit, when local settings are gone.';

revoke all on function recovery.restore_settings(jsonb) from public;
