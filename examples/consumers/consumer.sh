#!/bin/sh
# Appends every event to events.txt. Kill it, start it again: nothing is lost, some may come twice.
page() { cat <<'SQL'
begin;
create temp table page on commit drop as select * from recovery.fetch('psql', 100);
\copy (select id, kind, watch, key from page order by id) to program 'cat >> events.txt' (delimiter ' ')
select recovery.acknowledge(receipt) from (select receipt from page order by id desc limit 1) as p;
commit;
SQL
}
{ echo "select recovery.create_consumer('psql', 0);"; while page; do sleep 1; done; } |
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --output=/dev/null
