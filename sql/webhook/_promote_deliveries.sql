create or replace function recovery._promote_deliveries(p_webhook text, p_events bigint[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Asked one by one, by the index: a join would read all that waits, whenever statistics are old.
    update recovery.webhook_delivery as d
    set state = 'pending', next_at = recovery._now()
    where d.webhook = p_webhook and d.state = 'waiting' and d.event = any (p_events)
      and d.event = (
          select e.event from recovery.webhook_delivery as e
          where e.webhook = d.webhook and e.watch = d.watch and e.key = d.key and e.state in ('waiting', 'pending')
          order by e.event limit 1)
      and (d.lane is null or d.event = (
          select e.event from recovery.webhook_delivery as e
          where e.webhook = d.webhook and e.lane = d.lane and e.lane is not null and e.state in ('waiting', 'pending')
          order by e.event limit 1));
end
$$;

comment on function recovery._promote_deliveries(text, bigint[]) is
    'Of these deliveries, those that wait for nobody can be sent. The webhook is locked.';

revoke all on function recovery._promote_deliveries(text, bigint[]) from public;
