-- The door for owners of tables: recovery.attach, supervise and detach run with the rights of their caller and
-- write this table; what follows from that is done by its triggers.
alter table recovery.watch enable row level security;

create policy watch_of_owner on recovery.watch
    using (recovery._owns_table(relation)) with check (recovery._owns_table(relation));
create policy watch_is_read on recovery.watch for select to recovery_server, recovery_listener
    using (true);

create trigger recovery_10_compile before insert or update of relation, spec, path, supervised on recovery.watch
    for each row execute function recovery._compile_watch();
create trigger recovery_20_generate after insert or update of relation, spec, path, supervised on recovery.watch
    for each row execute function recovery._generate_watch();
create trigger recovery_25_follow after update of spec on recovery.watch
    for each row execute function recovery._carry_over();
create trigger recovery_30_forget after delete on recovery.watch
    for each row execute function recovery._forget_watch();

comment on policy watch_of_owner on recovery.watch is
    'Who has the rights of a table''s owner may watch it, and see that.';
comment on policy watch_is_read on recovery.watch is 'Servers and listeners see every watch.';
comment on trigger recovery_10_compile on recovery.watch is 'Checks and compiles what an owner has written.';
comment on trigger recovery_20_generate on recovery.watch is 'Makes the routines of the watch.';
comment on trigger recovery_25_follow on recovery.watch is 'Takes along what is told by its name or family.';
comment on trigger recovery_30_forget on recovery.watch is 'Removes them.';
