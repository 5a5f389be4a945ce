create or replace function recovery._database_number()
returns bigint
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select abs(hashtextextended(concat(c.system_identifier, '/', d.oid), 0) % 1000)
    from pg_control_system() as c join pg_database as d on d.datname = current_database()
$$;

comment on function recovery._database_number() is
    'The last three digits of every epoch that this database issues: a publisher and its subscribers do not issue the '
    'same, and a physical copy that became a database of its own knows which are not its own.';

revoke all on function recovery._database_number() from public;
