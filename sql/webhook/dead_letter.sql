create or replace view recovery.dead_letter as
select
    d.webhook,
    d.event,
    (d.body ->> 'at')::timestamptz as at,
    d.watch,
    d.kind,
    d.key,
    d.body ->> 'group' as group_key,
    d.attempts,
    d.status,
    d.error,
    d.done as died
from recovery.webhook_delivery as d
where d.state = 'dead';

comment on view recovery.dead_letter is
    'Events that the receiver of a webhook did not take, however often they were sent; recovery.redeliver sends them '
    'again.';
comment on column recovery.dead_letter.webhook is 'Name of the webhook.';
comment on column recovery.dead_letter.event is 'Id of the event.';
comment on column recovery.dead_letter.at is 'Time of the event.';
comment on column recovery.dead_letter.watch is 'Watch of the event.';
comment on column recovery.dead_letter.kind is 'Kind of the event.';
comment on column recovery.dead_letter.key is 'Key of the row or group.';
comment on column recovery.dead_letter.group_key is 'Group of the row.';
comment on column recovery.dead_letter.attempts is 'How often it was sent.';
comment on column recovery.dead_letter.status is 'HTTP status of the last answer; null: there was none.';
comment on column recovery.dead_letter.error is 'What went wrong at last.';
comment on column recovery.dead_letter.died is 'When it was given up.';
