create or replace function recovery._compile_watch()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
/* recovery.watch is the door through which a table's owner comes in: it may write relation, spec, path,
   supervised and attached, for its own tables. Everything else in the row is made here, from what PostgreSQL prints
   when the owner's runner reads the expressions. */
begin
    perform pg_advisory_xact_lock(hashtextextended('recovery.attach', 0));
    perform recovery._check_table(new.relation);
    perform recovery._check_options(new.relation, new.spec);
    new := recovery._read_options(new);
    new := recovery._read_table(new, tg_op = 'INSERT');
    new := recovery._compile_row(new);
    new := recovery._compile_closing(new);
    new := recovery._compile_supervision(new);
    perform recovery._check_family(new);
    new.outbox := coalesce(
        (select min(w.outbox) from recovery.watch as w where w.family = new.family and w.id <> new.id), new.id);
    return new;
end
$$;

comment on function recovery._compile_watch() is
    'Trigger function of recovery.watch: checks what an owner has written there and makes all other columns from it. '
    'RC006 cannot work, RC007 the name is taken, 42501 the owner is not permitted.';

revoke all on function recovery._compile_watch() from public;
