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
    v_moves constant boolean := (select c.relkind = 'p' from pg_class as c where c.oid = p_watch.relation);
begin
    return case p_operation
        when 'before_insert' then recovery._before_insert_sql(p_watch, v_moves)
        when 'before_update' then recovery._before_update_sql(p_watch, v_moves)
        when 'before_delete' then recovery._before_delete_sql(p_watch)
        when 'insert' then recovery._after_insert_sql(p_watch, v_moves)
        when 'update' then recovery._after_update_sql(p_watch)
        when 'delete' then recovery._after_delete_sql(p_watch, v_moves)
        when 'truncate' then recovery._before_truncate_sql(p_watch)
    end;
end
$function$;

comment on function recovery._trigger_sql(recovery.watch, text) is
    'Body of a trigger function of a watch: before_insert, before_update, before_delete: the owner, and the fence of '
    'closed rows; insert, update, delete, truncate: the fence, then the event, then the bell.';

revoke all on function recovery._trigger_sql(recovery.watch, text) from public;
