create table recovery.webhook (
    name           text        not null,
    url            text        not null,
    secrets        text[]      not null,
    allow          cidr[]      not null default '{}',
    order_by       text        not null default 'row',
    timeout        interval    not null default '15 seconds',
    max_body       integer     not null default 65536,
    max_attempts   integer     not null default 10,
    backoff        interval    not null default '5 seconds',
    max_backoff    interval    not null default '12 hours',
    concurrency    integer     not null default 8,
    keep           interval    not null default '30 days',
    created        timestamptz not null default clock_timestamp(),
    paused         timestamptz,
    paused_because text,
    failures       integer     not null default 0,
    tried          timestamptz,
    delivered      timestamptz,
    error          text,
    constraint webhook_pkey primary key (name),
    constraint webhook_order_check check (order_by in ('row', 'group'))
);

comment on table recovery.webhook is
    'Where events are sent by HTTP. Each is a consumer of its own, webhook:<name>, which holds its filters and its '
    'position. Written by recovery.add_webhook and its neighbours only; recovery.webhook_status shows all but the '
    'secrets.';
comment on column recovery.webhook.name is 'Name of the webhook.';
comment on column recovery.webhook.url is
    'Where events are sent. It holds no user or password, since everybody may see it.';
comment on column recovery.webhook.secrets is
    'What deliveries are signed with, newest first: each signs, so that a receiver may know any of them. For '
    'recovery.webhook_target alone.';
comment on column recovery.webhook.allow is
    'Networks that may be reached though they are private, and without TLS.';
comment on column recovery.webhook.order_by is
    'row: events of one row one after the other; group: those of one group (session), too.';
comment on column recovery.webhook.timeout is
    'For one attempt as a whole: to find the address, to connect, to send, to hear the answer.';
comment on column recovery.webhook.max_body is
    'Bytes of a body at most; values of a longer one are left out, with a mark.';
comment on column recovery.webhook.max_attempts is 'After so many an event is a dead letter.';
comment on column recovery.webhook.backoff is 'Pause after the first failure; each further one is four times as long.';
comment on column recovery.webhook.max_backoff is 'And this at most.';
comment on column recovery.webhook.concurrency is 'Deliveries under way at the same time, at most.';
comment on column recovery.webhook.keep is 'How long dead letters are kept; what was delivered, at most a day.';
comment on column recovery.webhook.created is 'When it was added.';
comment on column recovery.webhook.paused is 'Since when nothing is sent; null: it is not paused.';
comment on column recovery.webhook.paused_because is 'Why it was paused.';
comment on column recovery.webhook.failures is
    'Attempts in a row that found the receiver down: no connection, no answer in time, 429 or 5xx.';
comment on column recovery.webhook.tried is 'When the last attempt ended.';
comment on column recovery.webhook.delivered is 'When the receiver last took an event.';
comment on column recovery.webhook.error is 'What the last failure was; null once the receiver has taken an event.';
