create table agent.part (
    id           text   not null,
    message_id   text   not null,
    session_id   text   not null,
    time_created bigint not null,
    time_updated bigint not null,
    data         jsonb  not null,
    constraint part_pkey primary key (id)
) with (fillfactor = 85);

create index part_message_idx on agent.part (message_id, id collate "C");
create index part_session_idx on agent.part (session_id);

comment on table agent.part is 'A part of a message: text, reasoning, a tool call, a step.';
comment on column agent.part.id is 'Id of the part (prt_...).';
comment on column agent.part.message_id is 'Its message.';
comment on column agent.part.session_id is 'Its session.';
comment on column agent.part.time_created is 'Milliseconds since 1970.';
comment on column agent.part.time_updated is 'Milliseconds since 1970.';
comment on column agent.part.data is
    'The part; a tool that is pending or running, or text and reasoning with a start and no end, is in flight.';
comment on index agent.part_message_idx is 'Parts of a message in order.';
comment on index agent.part_session_idx is 'Parts of a session.';
