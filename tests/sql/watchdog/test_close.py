"""The escape hatch, and what would happen (row 31)."""

from __future__ import annotations

from typing import Any

import pytest

from sql.agent_store.store import Store, rows
from sql.jobs import Connection, add, attach, boot, lapse, refused, sweep, value, write_as
from sql.watchdog.clock import advance, configure, reasons


@pytest.fixture
def store(conn: Connection) -> Store:
    store = Store(conn, boot(conn, "agent").epoch)
    store.session("ses_1")
    store.message("msg_1")
    store.tool("prt_1")
    store.session("ses_2")
    store.message("msg_2", session="ses_2")
    return store


def close(conn: Connection, key: str, **options: Any) -> list[tuple[str, str]]:
    """recovery.close; (watch, key) of the rows."""
    given = "".join(f", p_{name} => %({name})s" for name in options)
    return [
        (row[0], row[1])
        for row in conn.execute(f"select * from recovery.close(%(key)s{given})", {"key": key, **options})  # type: ignore
    ]  # fmt: skip


def preview(conn: Connection, name: str | None = None) -> set[tuple[str, str, str]]:
    """recovery.preview; (action, reason, key)."""
    found = conn.execute("select action, reason, key from recovery.preview(%s)", (name,))
    return {(row[0], row[1], row[2]) for row in found}


def picture(conn: Connection) -> dict[str, Any]:
    """Everything that a dry run must not change."""
    found = {}
    for (table,) in conn.execute(
        "select c.oid::regclass::text from pg_class as c where c.relkind = 'r'"
        " and c.relnamespace in (select oid from pg_namespace where nspname in ('recovery', 'agent', 'app'))"
    ).fetchall():
        found[table] = conn.execute(f"select t::text from {table} as t order by 1").fetchall()  # type: ignore
    return found


def test_row_31_one_session_is_closed_and_no_other(conn: Connection, store: Store) -> None:
    assert close(conn, "ses_1", reason="model hangs") == [
        ("agent.part", "prt_1"), ("agent.message", "msg_1")]  # fmt: skip
    assert reasons(conn) == {"prt_1": "model hangs", "msg_1": "model hangs"}
    error = rows(conn, "part")["prt_1"]["data"]["state"]["error"]
    assert error == "Tool execution was interrupted (model hangs)"
    assert rows(conn, "message")["msg_2"]["data"]["time"].get("completed") is None


def test_a_live_owner_is_told_and_its_late_result_refused(conn: Connection, store: Store) -> None:
    close(conn, "ses_1")
    told = conn.execute(
        "select server_epoch, key, reason, new from recovery.event where kind = 'cancel'"
    ).fetchall()
    assert told == [
        (
            store.epoch,
            "ses_1",
            "operator",
            {"scope": "group", "watch": "agent.session", "closed": True},
        )
    ]
    write_as(conn, store.epoch)
    with refused("RC013"):
        conn.execute("update agent.part set data = data || '{}' where id = 'prt_1'")


def test_one_row_with_what_it_waits_for(conn: Connection, store: Store) -> None:
    store.tool("prt_task", tool="task", metadata={"sessionId": "ses_2"})
    assert set(close(conn, "prt_task")) == {("agent.part", "prt_task"), ("agent.message", "msg_2")}
    assert set(reasons(conn)) == {"prt_task", "msg_2"}


def test_descendants_go_with_their_session(conn: Connection, store: Store) -> None:
    store.session("ses_3", parent="ses_1")
    store.message("msg_3", session="ses_3")
    assert len(close(conn, "ses_1")) == 3


@pytest.mark.parametrize("guarded", [True, False])
def test_what_a_fuse_guards_closes_too(conn: Connection, store: Store, guarded: bool) -> None:
    if guarded:
        conn.execute(
            "select recovery.light_fuse('agent.session', 'ses_1', '1 h', 'h', 1, now(), 'group')"
        )
    assert len(close(conn, "ses_1")) == 2
    assert len(reasons(conn)) == 2
    assert value(conn, "select count(*) from recovery.fuse") == 0


def test_row_31_a_dry_run_changes_nothing(conn: Connection, store: Store) -> None:
    before = picture(conn)
    assert close(conn, "ses_1", dry=True) == [("agent.part", "prt_1"), ("agent.message", "msg_1")]
    assert preview(conn) == set()
    assert preview(conn, "agent") == {
        ("close", "superseded", "prt_1"),
        ("close", "superseded", "msg_1"),
        ("close", "superseded", "msg_2"),
    }
    assert preview(conn, "another") == set()
    assert picture(conn) == before


def test_row_31_the_preview_of_a_sweep_comes_true(conn: Connection, store: Store) -> None:
    configure(conn, "tool_timeout", "10 min")
    other = boot(conn, "dead")
    store.epoch = other.epoch
    store.session("ses_9")
    store.message("msg_9", session="ses_9")
    lapse(conn, other.epoch)
    before = preview(conn)
    assert before == {("close", "lease_expired", "msg_9"), ("ask", "tool_timeout", "prt_1"),
                      ("ask", "tool_timeout", "msg_1")}  # fmt: skip
    report = sweep(conn)
    assert (report["closed"], report["asked"]) == ({"agent.message": 1}, 1)
    assert reasons(conn) == {"msg_9": "lease_expired"}
    advance(conn, "11 s")
    assert preview(conn) == {("close", "tool_timeout", "prt_1"), ("close", "tool_timeout", "msg_1")}


def test_the_preview_of_a_boot_tells_what_it_adopts(jobs: Connection) -> None:
    epoch = boot(jobs).epoch
    plain, guarded = add(jobs, epoch, 2)
    jobs.execute("select recovery.light_fuse('app.job', %s, '1 h', 'h', 1, now())", (str(guarded),))
    wanted = {("close", "superseded", str(plain)), ("adopt", "superseded", str(guarded))}
    assert preview(jobs, "api") == wanted
    report = boot(jobs).report
    assert (report["closed"], report["adopted"]) == ({"app.job": 1}, {"app.job": 1})


@pytest.mark.parametrize(
    ("key", "options", "code", "words"),
    [
        ("ses_7", {}, "RC010", "nothing open has the key or group 'ses_7'"),
        ("ses_1", {"scope": "table"}, "RC010", "scope 'table' is not known"),
        ("ses_1", {"reason": " "}, "RC010", "reason ' ' is not allowed"),
        ("ses_1", {"watch": "agent.nothing"}, "RC008", "nothing is watched as 'agent.nothing'"),
        ("ses_1", {"scope": "row"}, "RC010", "nothing open"),
    ],
)
def test_what_cannot_be_closed_is_refused(
    conn: Connection, store: Store, key: str, options: dict[str, str], code: str, words: str
) -> None:
    before = picture(conn)
    with refused(code, words):
        close(conn, key, **options)
    assert picture(conn) == before


def test_a_name_of_two_things_is_refused(jobs: Connection) -> None:
    jobs.execute("create table app.more (id bigint primary key, status text)")
    attach(jobs, "app.more", close="""{"status": "'failed'"}""")
    epoch = boot(jobs).epoch
    (id_,) = add(jobs, epoch)
    jobs.execute("insert into app.more values (%s, 'running', %s)", (id_, epoch))
    with refused("RC010", "could be: row of app.job, row of app.more"):
        close(jobs, str(id_))
    assert close(jobs, str(id_), watch="app.more") == [("app.more", str(id_))]


def test_a_session_that_is_open_itself_closes_as_a_group(conn: Connection, store: Store) -> None:
    conn.execute("update agent.session set time_compacting = 1 where id = 'ses_1'")
    assert len(close(conn, "ses_1")) == 3


def test_groups_of_another_type_are_passed_over(jobs: Connection) -> None:
    jobs.execute("create table app.step (id text primary key, job bigint, status text)")
    attach(jobs, "app.step", group="job", close="""{"status": "'failed'"}""")
    epoch = boot(jobs).epoch
    jobs.execute("insert into app.step values ('s-1', 7, 'running', %s)", (epoch,))
    assert close(jobs, "s-1") == [("app.step", "s-1")]
