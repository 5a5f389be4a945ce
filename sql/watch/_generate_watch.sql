create or replace function recovery._generate_watch()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_runner recovery.runner;
    v_views  text[];
    v_name   text;
    v_names  text[] := array['before_insert', 'before_update', 'insert', 'update', 'delete', 'truncate'];
begin
    if (select c.relkind from pg_class as c where c.oid = new.relation) = 'p' then
        v_names := v_names || 'before_delete'::text;
    end if;
    select r.* into strict v_runner from recovery.runner as r where r.id = new.runner;
    -- Only if it has to: whoever writes the table would wait for it.
    v_views := recovery._outbox_views(new.outbox);
    if tg_op = 'INSERT' or exists (select from unnest(v_views) as v (name) where to_regclass(v.name) is null)
        or (old.name, old.family, old.outbox) is distinct from (new.name, new.family, new.outbox)
    then
        perform recovery._create_outbox(new.outbox, new.family);
    end if;
    if exists (
        select from unnest(v_views) as v (name) where not has_table_privilege(v_runner.role, v.name, 'insert')
    ) then
        execute format('grant insert on %s to %I', array_to_string(v_views, ', '), v_runner.role);
    end if;
    -- Made by the runner itself, which may create here only until these lines are done: so they belong to it,
    -- and nobody has to be its member.
    execute format('grant create on schema recovery to %I', v_runner.role);
    foreach v_name in array v_names loop
        if exists (
            select from pg_proc as p
            where p.pronamespace = 'recovery'::regnamespace and p.proname = format('watch_%s_%s', new.id, v_name)
              and p.proowner <> (select o.oid from pg_roles as o where o.rolname = v_runner.role)
        ) then
            execute format('drop function recovery.watch_%s_%s()', new.id, v_name);  -- the table has another owner now
        end if;
        perform recovery._run_as_owner(new.runner, recovery._render_sql($sql$
            create or replace function {function}()
            returns trigger
            language plpgsql
            volatile
            security definer
            set search_path = pg_catalog, pg_temp
            as {body!l};
            comment on function {function}() is {comment!l};
            revoke all on function {function}() from public;
            grant execute on function {function}() to {owner}
            $sql$, jsonb_build_object(
            'function', format('recovery.watch_%s_%s', new.id, v_name),
            'body', recovery._trigger_sql(new, v_name),
            'comment', format('Generated for watch "%s": owner, fence and events of its rows, %s.',
                              new.name, replace(v_name, '_', ' ')),
            'owner', v_runner.owner)), null, 'make');
    end loop;
    execute format('revoke create on schema recovery from %I', v_runner.role);
    perform recovery._note_partitions(null, new.id);
    perform recovery._note_whole_watch(new.name);
    return null;
end
$$;

comment on function recovery._generate_watch() is
    'Trigger function of recovery.watch: makes the trigger functions of a watch, which belong to its runner, and the '
    'view through which they append events.';

revoke all on function recovery._generate_watch() from public;
