create or replace function recovery._open_epochs(p_watch text)
returns bigint[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watch  record;
    v_epochs jsonb;
begin
    -- Not by recovery._attached_watches(): that fetches the long columns of all of them, for each watch.
    select w.relation, w.open, w.runner into strict v_watch from recovery.watch as w
    where w.name = p_watch and exists (select from pg_class as c where c.oid = w.relation);
    -- Steps from one epoch to the next in the partial index, so the cost follows the number of owners.
    select e.* into v_epochs from recovery._run_as_owner(v_watch.runner, recovery._render_sql($sql$
        with recursive e (epoch) as (
            (select r.server_epoch from {relation} as r
             where r.server_epoch is not null and ({open}) order by r.server_epoch limit 1)
            union all
            select (select r.server_epoch from {relation} as r
                    where r.server_epoch > e.epoch and ({open}) order by r.server_epoch limit 1)
            from e where e.epoch is not null
        )
        select to_jsonb(array_agg(e.epoch)) from e where e.epoch is not null
        $sql$, jsonb_build_object('relation', v_watch.relation, 'open', v_watch.open))) as e;
    return coalesce(recovery._to_texts(v_epochs)::bigint[], '{}');
end
$$;

comment on function recovery._open_epochs(text) is 'The epochs that own open rows of a watch, from its partial index.';

revoke all on function recovery._open_epochs(text) from public;
