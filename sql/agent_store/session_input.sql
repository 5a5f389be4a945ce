create table agent.session_input (
    id           text   not null,
    session_id   text   not null,
    prompt       text   not null,
    delivery     text,
    admitted_seq bigint,
    promoted_seq bigint,
    time_created bigint not null,
    constraint session_input_pkey primary key (id)
);

create index session_input_session_idx on agent.session_input (session_id);

comment on table agent.session_input is
    'A prompt of opencode 2 as it came in. Until it is promoted to a message it waits, and recovery leaves it so.';
comment on column agent.session_input.id is 'Id of the message that it becomes (msg_...).';
comment on column agent.session_input.session_id is 'Its session.';
comment on column agent.session_input.prompt is 'The prompt, JSON text kept as it is.';
comment on column agent.session_input.delivery is 'How it is delivered: steer or queue.';
comment on column agent.session_input.admitted_seq is 'Place in the session at which it came in.';
comment on column agent.session_input.promoted_seq is 'Place of its message; null: it waits.';
comment on column agent.session_input.time_created is 'Milliseconds since 1970.';
comment on index agent.session_input_session_idx is 'Prompts of a session.';
