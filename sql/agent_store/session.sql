create table agent.session (
    id                 text   not null,
    project_id         text,
    workspace_id       text,
    parent_id          text,
    slug               text,
    directory          text,
    path               text,
    title              text,
    version            text,
    share_url          text,
    summary_additions  bigint,
    summary_deletions  bigint,
    summary_files      bigint,
    summary_diffs      text,
    metadata           text,
    cost               double precision not null default 0,
    tokens_input       bigint not null default 0,
    tokens_output      bigint not null default 0,
    tokens_reasoning   bigint not null default 0,
    tokens_cache_read  bigint not null default 0,
    tokens_cache_write bigint not null default 0,
    revert             text,
    permission         text,
    agent              text,
    model              text,
    time_created       bigint not null,
    time_updated       bigint not null,
    time_compacting    bigint,
    time_archived      bigint,
    constraint session_pkey primary key (id)
);

create index session_parent_idx on agent.session (parent_id) where parent_id is not null;

comment on table agent.session is
    'A conversation; a subagent has its own, whose parent_id is the session that started it.';
comment on column agent.session.id is 'Id of the session (ses_...).';
comment on column agent.session.project_id is 'Project.';
comment on column agent.session.workspace_id is 'Workspace.';
comment on column agent.session.parent_id is
    'Session of the parent agent. No foreign key: a store may be loaded in any order.';
comment on column agent.session.slug is 'Short name.';
comment on column agent.session.directory is 'Working directory.';
comment on column agent.session.path is 'Path below the directory.';
comment on column agent.session.title is 'Title.';
comment on column agent.session.version is 'Version of the agent server that made it.';
comment on column agent.session.share_url is 'Public address, if shared.';
comment on column agent.session.summary_additions is 'Lines added.';
comment on column agent.session.summary_deletions is 'Lines deleted.';
comment on column agent.session.summary_files is 'Files changed.';
comment on column agent.session.summary_diffs is 'Diffs, JSON text kept as it is.';
comment on column agent.session.metadata is 'JSON text kept as it is.';
comment on column agent.session.cost is 'Cost so far.';
comment on column agent.session.tokens_input is 'Input tokens so far.';
comment on column agent.session.tokens_output is 'Output tokens so far.';
comment on column agent.session.tokens_reasoning is 'Reasoning tokens so far.';
comment on column agent.session.tokens_cache_read is 'Tokens read from the cache so far.';
comment on column agent.session.tokens_cache_write is 'Tokens written to the cache so far.';
comment on column agent.session.revert is 'State of a revert, JSON text kept as it is; never touched by recovery.';
comment on column agent.session.permission is 'Permission rules, JSON text kept as it is.';
comment on column agent.session.agent is 'Agent.';
comment on column agent.session.model is 'Model, JSON text kept as it is.';
comment on column agent.session.time_created is 'Milliseconds since 1970.';
comment on column agent.session.time_updated is 'Milliseconds since 1970.';
comment on column agent.session.time_compacting is 'Milliseconds since 1970; set while the session is being compacted.';
comment on column agent.session.time_archived is 'Milliseconds since 1970.';
comment on index agent.session_parent_idx is 'Children of a session: trees close together.';
