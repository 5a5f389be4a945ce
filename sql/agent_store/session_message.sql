create table agent.session_message (
    id           text   not null,
    session_id   text   not null,
    type         text   not null,
    seq          bigint not null,
    time_created bigint not null,
    time_updated bigint not null,
    data         jsonb  not null,
    constraint session_message_pkey primary key (id)
) with (fillfactor = 85);

create index session_message_session_idx on agent.session_message (session_id, seq);

comment on table agent.session_message is
    'A message of opencode 2, which keeps a turn in one row: text, reasoning and tools are entries of data.content.';
comment on column agent.session_message.id is 'Id of the message (msg_...).';
comment on column agent.session_message.session_id is 'Its session.';
comment on column agent.session_message.type is 'user, assistant, shell, synthetic, system, compaction and others.';
comment on column agent.session_message.seq is 'Its place in the session.';
comment on column agent.session_message.time_created is 'Milliseconds since 1970.';
comment on column agent.session_message.time_updated is 'Milliseconds since 1970.';
comment on column agent.session_message.data is
    'The message; of an assistant or a shell without time.completed, or with a tool that is pending or running: in '
    'flight.';
comment on index agent.session_message_session_idx is 'Messages of a session in order.';
