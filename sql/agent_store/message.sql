create table agent.message (
    id           text   not null,
    session_id   text   not null,
    time_created bigint not null,
    time_updated bigint not null,
    data         jsonb  not null,
    constraint message_pkey primary key (id)
) with (fillfactor = 85);

create index message_session_idx on agent.message (session_id, time_created, id collate "C");

comment on table agent.message is 'A turn of the user or the assistant.';
comment on column agent.message.id is 'Id of the message (msg_...).';
comment on column agent.message.session_id is 'Its session.';
comment on column agent.message.time_created is 'Milliseconds since 1970.';
comment on column agent.message.time_updated is 'Milliseconds since 1970.';
comment on column agent.message.data is 'The message; an assistant message without time.completed is in flight.';
comment on index agent.message_session_idx is 'Messages of a session in order.';
