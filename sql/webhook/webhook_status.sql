create or replace view recovery.webhook_status as
select
    w.name,
    w.url,
    case when w.paused is not null then 'paused'
         when w.failures >= 5 then 'down'
         when w.failures > 0 then 'failing'
         else 'active' end as state,
    c.filters,
    c.behind,
    c.lag,
    n.unfinished,
    n.dead,
    w.delivered,
    w.tried,
    w.error,
    w.failures,
    w.paused,
    w.paused_because,
    w.allow,
    w.order_by,
    w.timeout,
    w.max_body,
    w.max_attempts,
    w.backoff,
    w.max_backoff,
    w.concurrency,
    w.keep,
    cardinality(w.secrets) as secrets,
    w.created
from recovery.webhook as w
left join recovery.consumer_status as c on c.name = 'webhook:' || w.name
cross join lateral (
    select
        (select count(*) from recovery.webhook_delivery as d
         where d.webhook = w.name and d.state in ('waiting', 'pending')) as unfinished,
        (select count(*) from recovery.webhook_delivery as d
         where d.webhook = w.name and d.state = 'dead' and d.state in ('delivered', 'dead')) as dead) as n;

comment on view recovery.webhook_status is
    'Every webhook: where it is sent to, how far it is, and what its receiver says.';
comment on column recovery.webhook_status.name is 'Name of the webhook.';
comment on column recovery.webhook_status.url is 'Where events are sent.';
comment on column recovery.webhook_status.state is
    'active; failing (the last attempts found no receiver); down (five or more: one delivery is tried at a time); '
    'paused.';
comment on column recovery.webhook_status.filters is 'Which events it gets.';
comment on column recovery.webhook_status.behind is 'Events that nobody has collected for it yet, about.';
comment on column recovery.webhook_status.lag is 'Age of the oldest of them.';
comment on column recovery.webhook_status.unfinished is 'Events that are collected, and neither delivered nor dead.';
comment on column recovery.webhook_status.dead is 'Dead letters.';
comment on column recovery.webhook_status.delivered is 'When the receiver last took an event.';
comment on column recovery.webhook_status.tried is 'When the last attempt ended.';
comment on column recovery.webhook_status.error is
    'What the last failure was; null once the receiver has taken an event.';
comment on column recovery.webhook_status.failures is 'Attempts in a row that found the receiver down.';
comment on column recovery.webhook_status.paused is 'Since when it is paused.';
comment on column recovery.webhook_status.paused_because is 'Why.';
comment on column recovery.webhook_status.allow is 'Private networks that may be reached.';
comment on column recovery.webhook_status.order_by is 'row or group.';
comment on column recovery.webhook_status.timeout is 'For one attempt.';
comment on column recovery.webhook_status.max_body is 'Bytes of a body at most.';
comment on column recovery.webhook_status.max_attempts is 'After so many an event is a dead letter.';
comment on column recovery.webhook_status.backoff is 'Pause after the first failure.';
comment on column recovery.webhook_status.max_backoff is 'And at most.';
comment on column recovery.webhook_status.concurrency is 'Deliveries at the same time, at most.';
comment on column recovery.webhook_status.keep is 'How long dead letters are kept.';
comment on column recovery.webhook_status.secrets is 'How many secrets it has: more than one while it is rotated.';
comment on column recovery.webhook_status.created is 'When it was added.';
