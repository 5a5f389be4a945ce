create table agent.hold (
    id           text   not null,
    session_id   text   not null,
    part_id      text,
    kind         text   not null,
    until        bigint,
    time_created bigint not null default (extract(epoch from clock_timestamp()) * 1000)::bigint,
    time_ended   bigint,
    data         jsonb  not null default '{}',
    constraint hold_pkey primary key (id),
    constraint hold_kind_check check (kind in ('permission', 'question', 'retry')),
    constraint hold_until_check check (kind <> 'retry' or until is not null)
) with (fillfactor = 85);

create index hold_session_idx on agent.hold (session_id);

comment on table agent.hold is
    'Work that waits for a human (permission, question) or for the point in time at which a provider may be asked '
    'again (retry): no timeout runs meanwhile. It ends with the server that owns it.';
comment on column agent.hold.id is 'Id of the request (per_..., que_..., or any).';
comment on column agent.hold.session_id is 'Session that waits.';
comment on column agent.hold.part_id is 'Tool part that waits; null: the whole session.';
comment on column agent.hold.kind is 'permission, question or retry.';
comment on column agent.hold.until is 'Milliseconds since 1970: over by itself then; required for retry.';
comment on column agent.hold.time_created is 'Milliseconds since 1970.';
comment on column agent.hold.time_ended is
    'Milliseconds since 1970: answered, or ended with its owner; the clock of the tool goes on from there.';
comment on column agent.hold.data is 'What is asked.';
comment on index agent.hold_session_idx is 'Holds of a session.';
