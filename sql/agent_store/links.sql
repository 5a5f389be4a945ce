-- After the tables, which are made in the order of their names.
alter table agent.message
    add constraint message_session_fkey foreign key (session_id) references agent.session (id) on delete cascade;

alter table agent.part
    add constraint part_message_fkey foreign key (message_id) references agent.message (id) on delete cascade;

comment on constraint message_session_fkey on agent.message is 'Messages go with their session.';
comment on constraint part_message_fkey on agent.part is 'Parts go with their message.';

alter table agent.hold
    add constraint hold_session_fkey foreign key (session_id) references agent.session (id) on delete cascade;

comment on constraint hold_session_fkey on agent.hold is 'Holds go with their session.';

alter table agent.session_message
    add constraint session_message_session_fkey foreign key (session_id) references agent.session (id)
        on delete cascade;

alter table agent.session_input
    add constraint session_input_session_fkey foreign key (session_id) references agent.session (id)
        on delete cascade;

comment on constraint session_message_session_fkey on agent.session_message is 'Messages go with their session.';
comment on constraint session_input_session_fkey on agent.session_input is 'Prompts go with their session.';
