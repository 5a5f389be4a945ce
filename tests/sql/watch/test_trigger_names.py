"""The names of a watch's triggers, which a sweep looks for, are those of what is made."""

from __future__ import annotations

import pytest

from sql.jobs import Connection, attach, value


@pytest.mark.parametrize("partitioned", [False, True], ids=["plain", "partitioned"])
@pytest.mark.parametrize("owned", [False, True], ids=["", "owner"])
def test_the_names_are_those_of_the_triggers(
    jobs: Connection, partitioned: bool, owned: bool
) -> None:
    jobs.execute(
        "create table app.other (id int primary key, status text, error text, host text)"
        + (" partition by range (id)" if partitioned else "")
    )
    if partitioned:
        jobs.execute("create table app.other_1 partition of app.other default")
    attach(jobs, "app.other", **({"owner": "host"} if owned else {}))
    there = value(
        jobs,
        "select array_agg(tgname::text order by tgname) from pg_trigger"
        " where tgrelid = 'app.other'::regclass and not tgisinternal",
    )
    names = value(
        jobs,
        "select array_agg(n order by n) from recovery.watch as w,"
        " unnest(recovery._trigger_names(w)) as n where w.name = 'app.other'",
    )
    assert names == there
