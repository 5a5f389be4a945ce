create table recovery.webhook_delivery (
    webhook  text        not null,
    event    bigint      not null,
    watch    text        not null,
    kind     text        not null,
    key      text        not null,
    lane     text,
    body     jsonb       not null,
    state    text        not null default 'waiting',
    attempts integer     not null default 0,
    next_at  timestamptz not null,
    claim    uuid,
    status   integer,
    error    text,
    took     interval,
    tried    timestamptz,
    done     timestamptz,
    constraint webhook_delivery_pkey primary key (webhook, event),
    constraint webhook_delivery_webhook_fkey foreign key (webhook) references recovery.webhook (name)
        on delete cascade,
    constraint webhook_delivery_state_check check (state in ('waiting', 'pending', 'delivered', 'dead'))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- Only the first unfinished delivery of a row (or group) is pending, so what is searched for work holds no delivery
-- that could not be sent, however many wait behind one that fails.
create index webhook_delivery_due on recovery.webhook_delivery (webhook, next_at, event) where state = 'pending';
create index webhook_delivery_row on recovery.webhook_delivery (webhook, watch, key, event)
    where state in ('waiting', 'pending');
create index webhook_delivery_lane on recovery.webhook_delivery (webhook, lane, event)
    where state in ('waiting', 'pending') and lane is not null;
create index webhook_delivery_done on recovery.webhook_delivery (webhook, state, done)
    where state in ('delivered', 'dead');

comment on table recovery.webhook_delivery is
    'One event for one webhook: copied here, and acknowledged, in one transaction by recovery.collect_deliveries; sent '
    'until the receiver has taken it or it is a dead letter; pruned by recovery.prune_deliveries.';
comment on column recovery.webhook_delivery.webhook is 'Name of the webhook.';
comment on column recovery.webhook_delivery.event is 'Id of the event.';
comment on column recovery.webhook_delivery.watch is 'Watch of the event.';
comment on column recovery.webhook_delivery.kind is 'Kind of the event.';
comment on column recovery.webhook_delivery.key is
    'Key of the event: of two with the same watch and key the later one waits for the earlier one.';
comment on column recovery.webhook_delivery.lane is
    'Group of the event, if the webhook is ordered by group: of two in one group the later one waits, too.';
comment on column recovery.webhook_delivery.body is 'The event, as it is sent.';
comment on column recovery.webhook_delivery.state is
    'waiting (for an earlier one of its row or group), pending, delivered, dead (given up).';
comment on column recovery.webhook_delivery.attempts is 'How often it was sent, or was about to be.';
comment on column recovery.webhook_delivery.next_at is
    'When it may be sent (again). While it is under way: when its dispatcher counts as dead.';
comment on column recovery.webhook_delivery.claim is 'Who sends it at the moment.';
comment on column recovery.webhook_delivery.status is 'HTTP status of the last answer; null: there was none.';
comment on column recovery.webhook_delivery.error is 'What went wrong in the last attempt.';
comment on column recovery.webhook_delivery.took is 'How long the last attempt took.';
comment on column recovery.webhook_delivery.tried is 'When the last attempt ended.';
comment on column recovery.webhook_delivery.done is 'When it was delivered, or given up.';
comment on index recovery.webhook_delivery_due is 'What is to be sent next.';
comment on index recovery.webhook_delivery_row is 'Who waits for whom, by row.';
comment on index recovery.webhook_delivery_lane is 'Who waits for whom, by group.';
comment on index recovery.webhook_delivery_done is 'Dead letters, and what can be pruned.';
