"""P11: the steps of attach, alter and detach run with the rights of whoever executes them."""

from __future__ import annotations

import psycopg
import pytest

import recovery
from security.conftest import World
from sql.jobs import boot, refused, value


def test_p11_a_plain_owner_attaches_alters_and_detaches_in_steps(plain: World) -> None:
    a = plain.teams()
    a.execute("create type app.state as enum ('running', 'failed', 'started')")
    a.execute("create table app.task (id int primary key, status app.state)")
    recovery.attach(
        a, "app.task", open="status = 'running'", close={"status": "'failed'"}, concurrently=True
    )
    epoch = boot(plain.dba).epoch
    plain.dba.execute(
        "insert into app.task (id, status, server_epoch) values (1, 'running', %s)", (epoch,)
    )
    recovery.alter(a, "app.task", open="status in ('running', 'started')", concurrently=True)
    assert boot(plain.dba).closed == {"app.task": 1}
    # Repairing is the same.
    a.execute("alter table app.task disable trigger recovery_10_insert")
    recovery.attach(
        a, "app.task", open="status in ('running', 'started')", close={"status": "'failed'"}
    )
    assert value(plain.dba, "select count(*) from recovery.problem where name = 'app.task'") == 0
    recovery.detach(a, "app.task", concurrently=True)
    assert value(plain.dba, "select count(*) from recovery.watch where name = 'app.task'") == 0


def test_p11_steps_and_changes_are_for_the_owner(plain: World) -> None:
    a = plain.teams()
    for call in (
        "attach_steps('b.secret')",
        "alter_steps('b.secret', '{}')",
        "alter('b.secret', '{}')",
        "detach_steps('b.secret')",
    ):
        with pytest.raises(psycopg.Error) as caught:
            a.execute(f"select * from recovery.{call}")  # type: ignore
        assert caught.value.sqlstate in ("42501", "RC008")
    for call in ("_finish_attach('b.secret')", "_begin_detach('b.secret')"):
        with pytest.raises(psycopg.Error):
            a.execute(f"select recovery.{call}")  # type: ignore
    assert value(
        plain.dba, "select attached is not null from recovery.watch where name = 'b.secret'"
    )


def test_p11_a_table_that_has_another_owner_now_is_repaired_in_steps(plain: World) -> None:
    a = plain.teams()
    a.execute("create table app.task (id int primary key, status text)")
    watch = {"open": "status = 'running'", "close": {"status": "'failed'"}}
    recovery.attach(a, "app.task", **watch)  # type: ignore[arg-type]
    plain.dba.execute("alter table app.task owner to postgres")
    recovery.alter(plain.dba, "app.task", topic="t")
    plain.dba.execute(f"alter table app.task owner to {plain.stage.team_a}")  # type: ignore
    recovery.attach(plain.dba, "app.task", **watch, topic="t", concurrently=True)  # type: ignore[arg-type]
    epoch = boot(plain.dba).epoch
    plain.dba.execute("insert into app.task values (1, 'running', %s)", (epoch,))
    assert boot(plain.dba).closed == {"app.task": 1}
    owners = "select distinct proowner::regrole::text from pg_proc where proname ~ (select format('^watch_%s_', id)"
    owners += " from recovery.watch where name = 'app.task')"
    assert plain.dba.execute(owners.replace("%", "%%"), ()).fetchall() == [  # type: ignore
        (value(plain.dba, "select r.role::text from recovery.runner as r join recovery.watch as w"
                          " on w.runner = r.id where w.name = 'app.task'"),)
    ]  # fmt: skip


def test_p11_an_index_with_types_of_the_owner_is_made_by_nobody_who_can_do_more(
    plain: World,
) -> None:
    """Made concurrently it can't be taken back, had a literal in it run code of the owner."""
    a = plain.teams()
    a.execute("create type app.state as enum ('running', 'failed')")
    a.execute("create table app.task (id int primary key, status app.state)")
    with pytest.raises(recovery.PermissionDenied, match="Connect as"):
        recovery.attach(
            plain.dba,
            "app.task",
            open="status = 'running'",
            close={"status": "'failed'"},
            concurrently=True,
        )
    a.execute("select recovery.attach_steps('app.task')")
    with refused("42501"):
        plain.dba.execute("select recovery.attach_steps('app.task')")
