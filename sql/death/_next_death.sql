create or replace function recovery._next_death()
returns numeric
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select round(extract(epoch from greatest(min(j.sure_at), recovery._now()) - recovery._now()), 3)
    from recovery.judgement as j having min(j.sure_at) is not null
$$;

comment on function recovery._next_death() is
    'In how many seconds a sweep could end the next server, without a sign of life before; null: nothing speaks for '
    'the death of any.';

revoke all on function recovery._next_death() from public;
