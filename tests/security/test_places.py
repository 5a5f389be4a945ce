"""Every place where code of a table's owner can hide, from every entry, whoever calls."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from security.conftest import World
from security.places import ATTEMPTS, PLACES, TABLES
from security.stage import arm, runs
from sql.jobs import Connection, boot, lapse, shutdown, sweep, value

Entry = Callable[[World, Connection], None]

#: Not even for a superuser: a check option, an epoch that lives, triggers that depend on it.
CANNOT_SUCCEED = {
    "forge by an outbox of its own",
    "call close_batch",
    "call close",
    "delete another's watch",
}


def _epoch(world: World) -> int:
    return int(value(world.dba, "select max(epoch) from recovery.server"))


def boots(world: World, conn: Connection) -> None:
    boot(conn)


def sweeps(world: World, conn: Connection) -> None:
    lapse(world.dba, _epoch(world))
    sweep(conn)


def shuts_down(world: World, conn: Connection) -> None:
    token = value(world.dba, "select token from recovery.server order by epoch desc limit 1")
    shutdown(conn, _epoch(world), token=token)


def closes(world: World, conn: Connection) -> None:
    for table in TABLES:
        key = value(
            world.dba, "select key from recovery.event where watch = %s", f"app.{table.name}"
        )
        conn.execute("select recovery.close(%s, 'x', %s, 'row')", (key, f"app.{table.name}"))


def previews(world: World, conn: Connection) -> None:
    conn.execute("select * from recovery.preview('api')").fetchall()
    lapse(world.dba, _epoch(world))
    conn.execute("select * from recovery.preview()").fetchall()


def shows_status(world: World, conn: Connection) -> None:
    for view in ("server_status", "watch_status", "setting_status", "problem"):
        conn.execute(f"select * from recovery.{view}").fetchall()  # type: ignore
    conn.execute("select * from recovery.open_work()").fetchall()


def watches_the_clock(world: World, conn: Connection) -> None:
    world.dba.execute("select recovery.configure('tool_timeout', '10 min')")
    world.dba.execute("select recovery.configure('task_timeout', '10 min')")
    world.dba.execute("select recovery.configure('wall_timeout', '20 min')")
    world.dba.execute("select recovery.configure('idle_timeout', '20 min')")
    world.dba.execute("select recovery.configure('idle_roots', 'true')")
    world.dba.execute("select recovery.configure('cancel_grace', '0 s')")
    sweep(world.dba)
    world.dba.execute("update recovery.clock set shift = shift + interval '1 hour'")
    world.dba.execute("update recovery.server set heartbeat = recovery._now()")
    world.dba.execute("update recovery.observation set swept = recovery._now()")
    if conn.info.user != world.stage.logins["listener"]:
        conn.execute("select recovery.touch('app.own', array['1'])")
        conn.execute("select * from recovery._due_units()").fetchall()
        conn.execute("select * from recovery.preview()").fetchall()
    sweep(conn)


def detaches(world: World, conn: Connection) -> None:
    for table in TABLES:
        conn.execute("select recovery.detach(%s::regclass)", (f"app.{table.name}",))


def attaches(world: World, conn: Connection) -> None:
    entry = value(conn, "select current_setting('test.entry')")
    arm(conn, "")
    for table in TABLES:
        world.dba.execute("select recovery.detach(%s::regclass)", (f"app.{table.name}",))
    arm(conn, entry)
    for table in TABLES:
        try:
            world.stage.watch(conn, table)
        except psycopg.Error as error:
            print(table.name, error)


def supervises(world: World, conn: Connection) -> None:
    for table in TABLES:
        try:
            world.stage.look(conn, table, again=True)
        except psycopg.Error as error:
            print(table.name, error)


def listens(world: World, conn: Connection) -> None:
    conn.execute("listen recovery")
    conn.execute("select recovery.tail()")
    conn.execute("select * from recovery.event order by id").fetchall()
    conn.execute("select * from recovery.read()").fetchall()
    conn.execute("select recovery.create_consumer('listens', 0)")
    conn.execute("select * from recovery.fetch('listens')").fetchall()


def asks_before_it_delivers(world: World, conn: Connection) -> None:
    for table in TABLES:
        watch = f"app.{table.name}"
        found = world.dba.execute(
            "select key, group_key from recovery.event where watch = %s and key <> '' limit 1",
            (watch,),
        ).fetchone()
        assert found is not None
        conn.execute("select recovery.current_states(%s, 'row', array[%s])", (watch, found[0]))
        conn.execute("select recovery.current_states(%s, 'group', array[%s])", (watch, found[1]))


ENTRIES: list[tuple[Entry, str, list[str]]] = [
    (boots, "c", ["superuser", "server", "owner"]),
    (sweeps, "c", ["superuser", "server", "owner"]),
    (shuts_down, "c", ["superuser", "server", "owner"]),
    (closes, "o", ["superuser", "owner"]),
    (previews, "p", ["superuser", "server", "owner"]),
    (shows_status, "s", ["superuser", "server", "owner", "listener"]),
    (asks_before_it_delivers, "", ["superuser", "server", "owner"]),
    (watches_the_clock, "w", ["superuser", "server", "owner"]),
    (attaches, "a", ["superuser", "team_a"]),
    (supervises, "v", ["superuser", "team_a"]),
    (detaches, "", ["superuser", "team_a"]),
    (listens, "", ["superuser", "server", "listener"]),
]
CASES = [
    pytest.param(entry, runs_in, caller, id=f"{entry.__name__}-{caller}")
    for entry, runs_in, callers in ENTRIES
    for caller in callers
]


@pytest.mark.parametrize(("entry", "letter", "caller"), CASES)
def test_nobody_gains(world: World, entry: Entry, letter: str, caller: str) -> None:
    conn = world.session(caller)
    arm(conn, entry.__name__)
    entry(world, conn)
    found = runs(world.heard)
    gained = {(run.place, run.current_user, *run.gained) for run in found if run.gained}
    assert not gained
    # The runner, always; the owner itself where its index is built, and in its own function.
    allowed = {world.stage.runner, world.stage.team_a}
    assert {run.current_user for run in found} <= allowed
    missed = {place.name for place in PLACES if letter and letter in place.runs}
    assert missed - {run.place for run in found} == set()


def test_as_a_superuser_or_the_owner_it_would_gain(world: World) -> None:
    """Else the tests above could not fail."""
    world.dba.execute("select recovery.configure('tool_timeout', '1 hour')")
    world.dba.execute("select recovery.light_fuse('app.own', '1', '1 hour')")
    world.dba.execute("select recovery.create_consumer('someone', 0)")
    for caller, at_least in (
        ("superuser", set(ATTEMPTS) - CANNOT_SUCCEED),
        ("owner", {"read tokens", "write servers", "write events", "write watches", "call run"}),
        ("server", {"read events"}),
    ):
        conn = world.session(caller)
        arm(conn, f"control of {caller}")
        conn.execute("select app.attack('control')")
        conn.close()
        gained = {
            name for run in runs(world.heard) if run.entry.endswith(caller) for name in run.gained
        }
        assert at_least - gained == set(), caller
