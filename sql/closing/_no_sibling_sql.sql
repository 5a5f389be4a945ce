create or replace function recovery._no_sibling_sql(p_watch recovery.watch)
returns text
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    -- The row carries the newest epoch of the name that lived when the work was opened. Those that are older lived
    -- then, too, and any of them may be doing it; what booted later can't be.
    select recovery._render_sql($sql$
        not exists (
                  select from recovery.server as s
                  where s.name = ({owner}) and s.epoch < r.server_epoch and s.ended is null and s.pending is null)
        $sql$, jsonb_build_object('owner', p_watch.owner))
$$;

comment on function recovery._no_sibling_sql(recovery.watch) is
    'The condition for a row that names its server: nobody lives any more who bore the name when it was opened.';

revoke all on function recovery._no_sibling_sql(recovery.watch) from public;
