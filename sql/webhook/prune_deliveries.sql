create or replace function recovery.prune_deliveries(p_limit integer default 5000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_webhook recovery.webhook;
    v_state   text;
    v_before  timestamptz;
    v_some    bigint;
    v_count   bigint := 0;
begin
    for v_webhook in select w.* from recovery.webhook as w order by w.name loop
        foreach v_state in array array['delivered', 'dead'] loop
            v_before := recovery._now() - case v_state
                when 'dead' then v_webhook.keep else least(v_webhook.keep, interval '1 day') end;
            -- And no more than 100,000 of each, whatever their age.
            v_before := greatest(v_before, (
                select d.done from recovery.webhook_delivery as d
                where d.webhook = v_webhook.name and d.state = v_state and d.state in ('delivered', 'dead')
                order by d.done desc offset 100000 limit 1));
            with old as materialized (
                select o.event from recovery.webhook_delivery as o
                where o.webhook = v_webhook.name and o.state = v_state and o.state in ('delivered', 'dead')
                  and o.done <= v_before
                order by o.done limit p_limit for update skip locked
            )
            delete from recovery.webhook_delivery as d using old
            where d.webhook = v_webhook.name and d.event = old.event;
            get diagnostics v_some = row_count;
            v_count := v_count + v_some;
        end loop;
    end loop;
    return v_count;
end
$$;

comment on function recovery.prune_deliveries(integer) is
    'Forgets what was delivered a day ago and dead letters that are older than their webhook keeps them, and of both '
    'what is beyond the newest 100,000; at most p_limit of each at a time. Returns how many.';

revoke all on function recovery.prune_deliveries(integer) from public;
