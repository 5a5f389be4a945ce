create or replace function recovery._trigger_sql(p_watch recovery.watch, p_operation text)
returns text
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $function$
/* The body of the trigger function of one watch and one operation. It is generated, with the watch's
   expressions in place, because a general one would have to turn every row into json.

   BEFORE triggers write the owner into the row and fence closed rows. They decide nothing that must hold for the
   row as it is in the end: an insert may come to nothing (on conflict), a later trigger of the host may change it.
   AFTER triggers fence what opens and closes work, and write the event.

   The usual case, a live server that opens or closes its own row, is one expression, which takes the lock,
   and one statement, which writes the event only if the epoch lives. They are two on purpose: the
   statement's snapshot must be younger than the lock. Everything else is the branch behind `not found`.

   A row that changes its partition fires BEFORE UPDATE, DELETE and INSERT one after the other, and at the end of
   the statement AFTER DELETE and INSERT, in the order of the rows. So the first three tell each other by settings
   of the transaction which row moves, and count the rows that do; AFTER DELETE leaves what was to AFTER INSERT,
   which tells the two as the update that they are. The settings are named by the depth of triggers: statements in
   triggers of the host come between. Anybody can set them, so nothing is left out because of them before the
   insert is there: AFTER DELETE fences and says what it says of every row, AFTER INSERT takes that back.       */
declare
    v_knows constant text := recovery._render_sql(
        'recovery._has_names({table!l}::regclass, {uses!l})',
        jsonb_build_object('table', p_watch.relation::oid, 'uses', p_watch.uses::text));
    v_row   constant text := case p_operation
        when 'before_insert' then 'new' when 'before_update' then 'new' when 'before_delete' then 'old' else 'null' end;
begin
    return recovery._render_sql($sql$
        begin
            if {knows} then
        {usual}
            end if;
            -- A name that stands above has changed, and recovery._follow_watch has not come yet.
            begin
        {unknown}
        {stale}
            exception when others then
                if sqlstate like 'RC%' then
                    raise;
                end if;
                raise warning 'recovery: a write of watch "%" passes unseen: %', {watch!l}, sqlerrm;
                return {row};
            end;
        end
        $sql$, jsonb_build_object(
        'knows', v_knows,
        'usual', case when recovery._calls_functions(p_watch) then recovery._render_sql($sql$
                    begin
                {block}
                    exception when undefined_function then
                        null;  -- it has another name, which invalidates no plan that asks for names
                    end;
        $sql$, jsonb_build_object(
            'block', recovery._operation_sql(p_watch, p_operation) || ';'))
                        else recovery._operation_sql(p_watch, p_operation) || ';' end,
        -- Whether the row is open can't be told: it keeps, or gets, an owner.
        'unknown', case when p_operation in ('before_insert', 'before_update') then recovery._render_sql($sql$
                if recovery._stale_value({id}, 'open', new.*) is null then
                    new.server_epoch := coalesce(
                        new.server_epoch, {owner}nullif(current_setting('recovery.server_epoch', true), '')::bigint);
                    return new;
                end if;
        $sql$, jsonb_build_object(
            'id', p_watch.id, 'owner', case p_operation when 'before_update' then 'old.server_epoch, ' else '' end))
                        else '' end,
        'stale', recovery._operation_sql(recovery._stale_watch(p_watch), p_operation) || ';',
        'watch', p_watch.name,
        'row', v_row));
end
$function$;

comment on function recovery._trigger_sql(recovery.watch, text) is
    'Body of a trigger function of a watch: before_insert, before_update, before_delete: the owner, and the fence of '
    'closed rows; insert, update, delete, truncate: the fence, then the event, then the bell.';

revoke all on function recovery._trigger_sql(recovery.watch, text) from public;
