"""What code of a table's owner leaves behind in the session that called us."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from security.conftest import World
from security.stage import attach
from security.tricks import on_update, pure
from sql.jobs import Connection, boot, lapse, shutdown, sweep, value

Entry = Callable[[World, Connection], None]


def boots(world: World, conn: Connection) -> None:
    boot(conn)


def sweeps(world: World, conn: Connection) -> None:
    lapse(world.dba, value(world.dba, "select max(epoch) from recovery.server"))
    sweep(conn)


def shuts_down(world: World, conn: Connection) -> None:
    shutdown(conn, value(world.dba, "select max(epoch) from recovery.server"))


def closes(world: World, conn: Connection) -> None:
    conn.execute("select * from recovery.close('1')").fetchall()


def acknowledges(world: World, conn: Connection) -> None:
    epoch, token = world.dba.execute(
        "select epoch, token from recovery.server order by epoch desc limit 1"
    ).fetchone() or (None, None)
    asked = value(
        world.dba,
        "insert into recovery.cancellation (family, scope, watch, key, server_epoch, reason, detail, deadline)"
        " values ('app.job', 'row', 'app.job', '1', %s, 'x', '{\"watch\": \"app.job\"}', now() + interval '1 hour')"
        " returning id",
        epoch,
    )
    conn.execute(
        "select recovery.acknowledge_cancellation(%s, %s, %s)", (asked, epoch, token)
    ).fetchall()


def previews(world: World, conn: Connection) -> None:
    conn.execute("select * from recovery.preview('api')").fetchall()


def shows_status(world: World, conn: Connection) -> None:
    conn.execute("select * from recovery.watch_status").fetchall()
    conn.execute("select * from recovery.server_status").fetchall()


WRITES: list[Entry] = [boots, sweeps, shuts_down, closes, acknowledges]
READS: list[Entry] = [previews, shows_status]
READING = pytest.mark.parametrize("entry", READS)
EVERY = pytest.mark.parametrize("entry", WRITES + READS)


def _call(entry: Entry, world: World) -> Connection:
    """Calls the entry as a superuser; that it fails is no gain."""
    conn = world.session()
    try:
        entry(world, conn)
    except psycopg.Error as error:
        print(error)
    return conn


def _hide(world: World, body: str) -> None:
    """Hides it in a trigger and in an expression that status and preview ask."""
    a = world.teams()
    body = f"if current_setting('test.armed', true) = 'on' then {body}; end if"
    on_update(a, body)
    pure(a, "only", body)
    attach(a, "app.job", {"only": "app.only(status)"})
    world.orphan()
    for role in ("superuser", "server"):
        name = {"superuser": world.stage.superuser, **world.stage.logins}[role]
        world.dba.execute(
            f"alter role {name} in database {world.dba.info.dbname} set test.armed = 'on'"  # type: ignore
        )


@EVERY
def test_a_cursor_with_hold_is_not_filled_at_commit(plain: World, entry: Entry) -> None:
    """COMMIT executes it, and by then the session's user is back."""
    _hide(
        plain,
        "if not exists (select from pg_cursors where name = 'evil') then"
        " execute 'declare evil cursor with hold for select app.note(''hold'')'; end if",
    )
    conn = _call(entry, plain)
    assert plain.notes() == []
    assert conn.execute("select name from pg_cursors where is_holdable").fetchall() == []
    if entry in WRITES:
        # The closing is refused, which the row's failure says; nothing else is.
        assert value(plain.dba, "select status from app.job") == "running"
    if entry in (boots, sweeps, shuts_down):
        assert "leaves the cursor evil" in value(plain.dba, "select message from recovery.failure")
    assert value(conn, "select 1") == 1
    plain.others_go_on()


def test_a_cursor_that_does_not_outlive_the_transaction_is_fine(plain: World) -> None:
    _hide(
        plain,
        "if not exists (select from pg_cursors where name = 'mine') then"
        " execute 'declare mine cursor for select app.note(''fetched'')';"
        " execute 'move all from mine'; end if",
    )
    conn = plain.session()
    conn.execute("declare kept cursor with hold for select 7")
    assert boot(conn).closed == {"app.job": 1}
    assert {who for _, who in plain.notes()} == {plain.stage.runner}
    # What the session had itself stays.
    assert value(conn, "fetch all from kept") == 7


@READING
@pytest.mark.parametrize("caller", ["superuser", "server"])
def test_a_deferred_trigger_of_what_reading_wrote_is_the_runners(
    plain: World, entry: Entry, caller: str
) -> None:
    """Up to PostgreSQL 17 it would run at COMMIT as the session's user."""
    _hide(plain, "insert into app.trap values (1)")
    a = plain.session("team_a")
    a.execute(
        "create table app.trap (i integer);"
        "create function app.late() returns trigger language plpgsql as $$"
        " begin perform app.note('late'); return new; end $$;"
        "create constraint trigger late after insert on app.trap deferrable initially deferred"
        " for each row execute function app.late()"
    )
    conn = plain.session(caller)
    try:
        entry(plain, conn)
    except psycopg.Error as error:
        print(error)
    assert {who for _, who in plain.notes()} <= {plain.stage.runner}


TEMPORARY = [
    "create temp view pg_roles as select app.note(''temp'')",
    "create temp table pg_database (a integer)",
    "create domain pg_temp.job as text check (app.note(''temp''))",
    "create temp sequence pg_class",
    "create type pg_temp.jsonb as (a text)",
    "create type pg_temp.uuid as enum (''a'')",
    "create type pg_temp.bigint as range (subtype = integer)",
    "create function pg_temp.now() returns text language sql as ''select app.note(temp)::text''",
    "create operator pg_temp.|| (leftarg = text, rightarg = bigint, function = pg_temp.cat)",
]


@EVERY
def test_nothing_of_it_stays_in_the_temporary_schema(plain: World, entry: Entry) -> None:
    """pg_temp comes before pg_catalog for tables and types: the session's next query would run it."""
    _hide(
        plain,
        "; ".join(f"begin execute '{made}'; exception when others then end" for made in TEMPORARY),
    )
    conn = _call(entry, plain)
    left = conn.execute(
        "select relname from pg_class where relnamespace = pg_my_temp_schema()"
        " union all select typname from pg_type where typnamespace = pg_my_temp_schema()"
    ).fetchall()
    assert left == []
    if entry in WRITES:
        assert value(plain.dba, "select status from app.job") == "failed"
    # What goes on in this session sees the catalog's.
    value(conn, "select count(*) from pg_roles")
    sweep(conn)
    assert {who for _, who in plain.notes()} <= {plain.stage.runner}


def test_what_the_session_made_itself_stays(plain: World) -> None:
    _hide(plain, "create temp table if not exists evil (a integer)")
    conn = plain.session()
    conn.execute("create temp table mine (a integer); create type pg_temp.own as enum ('a')")
    assert boot(conn).closed == {"app.job": 1}
    names = conn.execute(
        "select relname from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'r'"
    ).fetchall()
    assert names == [("mine",)]
    assert value(conn, "select to_regtype('pg_temp.own') is not null")


@EVERY
def test_the_search_path_is_what_it_was(plain: World, entry: Entry) -> None:
    _hide(plain, "set search_path = evil")
    conn = _call(entry, plain)
    assert value(conn, "show search_path") == '"$user", public'


SETTINGS = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "9h",
    "lock_timeout": "9h",
    "idle_in_transaction_session_timeout": "9h",
    "idle_session_timeout": "9h",
    "row_security": "off",
    "transform_null_equals": "on",
    "session_replication_role": "replica",
    "standard_conforming_strings": "off",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Tokyo",
    "check_function_bodies": "off",
    "default_table_access_method": "evil",
    "recovery.server_epoch": "1",
}


def _settings(conn: Connection) -> dict[str, str]:
    """What the session has; a setting of ours that was never set is as good as an empty one."""
    query = (
        "select name, coalesce(current_setting(name, true), '') from unnest(%s::text[]) as n (name)"
    )
    return dict(conn.execute(query, ([*SETTINGS],)).fetchall())


@EVERY
def test_later_sweeps_of_others_work_in_the_same_session(plain: World, entry: Entry) -> None:
    """A plain SET outlives the transaction; whatever it was, the session is as before."""
    sets = "".join(
        f"begin perform set_config('{name}', '{to}', false); exception when others then end;"
        for name, to in SETTINGS.items()
    )
    _hide(plain, sets + "perform app.note('set')")
    conn = plain.session()
    before = _settings(conn)
    try:
        entry(plain, conn)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        print(error)
    after = _settings(conn)
    assert {name: after[name] for name in SETTINGS if before[name] != after[name]} == {}
    assert ("set", plain.stage.runner) in plain.notes()
    epoch = boot(plain.dba, "another").epoch
    plain.dba.execute(
        "insert into b.secret (id, status, server_epoch) values (1, 'running', %s)", (epoch,)
    )
    boot(conn, "another")
    assert value(plain.dba, "select status from b.secret") == "failed"


@pytest.mark.parametrize("body", ["set transaction_read_only = on", "raise exception 'evil'"])
def test_a_table_whose_expressions_fail_stops_no_other(plain: World, body: str) -> None:
    a = plain.teams()
    pure(
        a,
        "open",
        f"if current_user like 'recovery%' and current_setting('test.armed', true) = 'on' then {body}; end if",
    )
    attach(
        a,
        "app.job",
        {"only": "app.open(status)", "group": "case when app.open(status) then id end"},
    )
    epoch = plain.orphan()
    plain.dba.execute(
        f"insert into b.secret (id, status, server_epoch) values (1, 'running', {epoch})"
    )  # type: ignore
    conn = plain.session()
    conn.execute("set test.armed = 'on'")
    boot(conn)
    sweep(conn)
    assert value(plain.dba, "select status from b.secret") == "failed"
