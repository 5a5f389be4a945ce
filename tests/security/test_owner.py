"""A plain owner of tables: what one statement of a DBA permits, and what it does not."""

from __future__ import annotations

import psycopg
import pytest

from security.conftest import World
from security.stage import attach
from sql.jobs import boot, refused, value

DENIED = psycopg.errors.InsufficientPrivilege


def test_the_error_says_what_to_run_and_running_it_is_enough(plain: World) -> None:
    team_c = plain.stage.team_c
    plain.dba.execute(f"create schema c authorization {team_c}")  # type: ignore
    c = plain.session("team_c")
    c.execute("create table c.job (id bigint primary key, status text, error text)")
    with pytest.raises(DENIED) as caught:
        attach(c, "c.job", {})
    assert caught.value.sqlstate == "42501"
    hint = caught.value.diag.message_hint or ""
    assert hint == f"A DBA runs this once: select recovery.permit('{team_c}');"
    for name in ("detach('c.job')", "supervise('c.job')"):
        with pytest.raises(DENIED):
            c.execute(f"select recovery.{name}")  # type: ignore
    plain.dba.execute(hint.removeprefix("A DBA runs this once: "))  # type: ignore
    attach(c, "c.job", {"started": "timestamptz '2000-01-01 00:00+00'"})
    c.execute("select recovery.supervise('c.job')")
    plain.orphan(1, "c.job")
    assert boot(plain.dba).closed == {"c.job": 1}
    c.execute("select recovery.detach('c.job')")
    assert value(plain.dba, "select count(*) from recovery.watch where name = 'c.job'") == 0


@pytest.mark.parametrize(
    "name",
    ["Team D's 1", "order", 'say "x"', "a.b", "x; drop table app.job --", "Ü" * 31, "recovery_x"],
)
def test_an_owner_whose_name_must_be_quoted_attaches_and_detaches(plain: World, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    plain.dba.execute(f"create role {quoted} login password 'x'")  # type: ignore
    try:
        plain.dba.execute(f"create schema d authorization {quoted}")  # type: ignore
        with psycopg.connect(plain.dsn, user=name, password="x", autocommit=True) as d:
            d.execute(
                'create table d."The Job" (id bigint primary key, status text, error text, at timestamptz)'
            )
            with pytest.raises(DENIED) as caught:
                attach(d, 'd."The Job"', {})
            hint = caught.value.diag.message_hint or ""
            assert hint.startswith("A DBA runs this once: select recovery.permit(")
            plain.dba.execute(hint.removeprefix("A DBA runs this once: "))  # type: ignore
            for conn in (d, plain.dba):
                attach(conn, 'd."The Job"', {"started": "at"})
                conn.execute("select recovery.supervise('d.\"The Job\"')")
                attach(conn, 'd."The Job"', {"started": "at"})
                plain.orphan(1, 'd."The Job"')
                assert sum(boot(plain.dba).closed.values()) == 1
                d.execute('delete from d."The Job"')
                conn.execute("select recovery.detach('d.\"The Job\"')")
            assert not value(plain.dba, "select count(*) from recovery.watch where name ~ 'Job'")
            # Repeated, it repairs.
            plain.dba.execute(hint.removeprefix("A DBA runs this once: "))  # type: ignore
        assert value(plain.dba, "select to_regclass('app.job') is not null")
    finally:
        role = value(
            plain.dba,
            "select quote_ident(role) from recovery.runner where owner ="
            " (select oid from pg_roles where rolname = %s)",
            name,
        )
        for who in (quoted, *([role] if role else [])):
            plain.dba.execute(f"drop owned by {who} cascade")  # type: ignore
            plain.dba.execute(f"drop role {who}")  # type: ignore


def test_who_owns_nothing_of_it_is_refused(plain: World) -> None:
    attach(plain.teams(), "app.job", {})
    for role in ("team_b", "team_c", "server", "listener"):
        conn = plain.session(role)
        with pytest.raises(DENIED):
            attach(conn, "app.job", {})
        with pytest.raises(psycopg.Error) as caught:
            conn.execute("select recovery.detach('app.job')")
        assert caught.value.sqlstate in ("42501", "RC008")
        with pytest.raises(psycopg.Error) as caught:
            conn.execute("select recovery.supervise('app.job', p_started => 'now()')")
        assert caught.value.sqlstate in ("42501", "RC008")
    assert value(plain.dba, "select count(*) from recovery.watch where name = 'app.job'") == 1


DENIED_STATEMENTS = [
    "insert into recovery.watch (relation, spec, path) values ('b.other', '{spec}', '')",
    "insert into recovery.watch (relation, spec, path, runner) values ('app.other', '{spec}', '', 1)",
    "update recovery.watch set close = '{}'",
    "update recovery.watch set runner = 1",
    "update recovery.watch set own_column = false",
    "update recovery.watch set relation = 'b.secret'::regclass",
    "truncate recovery.watch",
    "select * from recovery.event",
    "select * from recovery.outbox",
    "select * from recovery.read()",
    "select * from recovery.consumer",
    "select * from recovery.server",
    "select token from recovery.server",
    "select * from recovery.runner",
    "select * from recovery.failure",
    "select * from recovery.fuse",
    "select * from recovery.own_fuse",
    "insert into recovery.outbox_{foreign} (watch, kind, key, detector) values ('b.secret', 'x', 'x', 'x')",
    "insert into recovery.outbox_{foreign}_single (watch, kind, key, detector) values ('b.secret', 'x', 'x', 'x')",
    "insert into recovery.outbox_{own}_single (watch, kind, key, detector) values ('app.job', 'x', 'x', 'x')",
    "insert into recovery.outbox_{own} (watch, kind, key, detector) values ('app.job', 'x', 'x', 'x')",
    "select recovery._run_as_owner(1, 'select 1')",
    "select recovery._compile_expression('b.secret', 'open', 'true', 'boolean')",
    "select recovery.close('1')",
    "select recovery.preview()",
    "select recovery.permit('{team}')",
    "select recovery._make_runner('{team}')",
    "select recovery._close_sql('b.secret', 'row')",
    "call recovery.boot('api')",
    "call recovery.sweep()",
    "create table recovery.x ()",
    "create function recovery.x() returns void language sql as ''",
    "alter function recovery.watch_{watch}_update() security invoker",
    "drop function recovery_private.run_{runner}(text, recovery.task, text)",
    "alter function recovery_private.run_{runner}(text, recovery.task, text) security invoker",
    "select recovery_private.run_{runner}('select to_jsonb(1)', null, 'read')",
    "create function recovery_private.x() returns void language sql as ''",
    "drop function recovery.watch_{watch}_update() cascade",
    "drop owned by recovery_runner_{team}",
    "reassign owned by recovery_runner_{team} to {team}",
    "set role recovery_runner_{team}",
    "grant recovery_runner_{team} to {team}",
]


def test_attaching_gives_no_right_on_ours(plain: World) -> None:
    a = plain.teams()
    attach(a, "app.job", {})
    a.execute("create table app.other (id bigint primary key, status text)")
    plain.session("team_b").execute("create table b.other (id bigint primary key, status text)")
    outbox = dict(plain.dba.execute("select name, outbox from recovery.watch").fetchall())
    names = {
        "spec": '{"name": "x", "open": "true", "close": {"status": "null"}, "events": "all", "position": 1}',
        "foreign": outbox["b.secret"],
        "own": outbox["app.job"],
        "team": plain.stage.team_a,
        "runner": plain.runner(),
        "watch": value(plain.dba, "select id from recovery.watch where name = 'app.job'"),
    }
    allowed = {}
    for statement in DENIED_STATEMENTS:
        for key, to in names.items():
            statement = statement.replace("{" + key + "}", str(to))
        try:
            a.execute(statement)  # type: ignore
            allowed[statement] = "it went through"
        except DENIED:
            pass
        except psycopg.Error as error:
            allowed[statement] = str(error)
    assert allowed == {}


def test_rows_of_others_are_neither_seen_nor_changed(plain: World) -> None:
    a = plain.teams()
    attach(a, "app.job", {})
    before = plain.dba.execute("select * from recovery.watch where name = 'b.secret'").fetchone()
    assert a.execute("select name from recovery.watch").fetchall() == [("app.job",)]
    assert a.execute("update recovery.watch set path = 'x' where name = 'b.secret'").rowcount == 0
    assert (
        a.execute("delete from recovery.watch where relation = 'b.secret'::regclass").rowcount == 0
    )
    assert (
        plain.dba.execute("select * from recovery.watch where name = 'b.secret'").fetchone()
        == before
    )
    for table in ("b.secret", "b.other"):
        with pytest.raises(psycopg.Error):
            attach(a, table, {})
    with refused("RC008"):
        a.execute("select recovery.detach('b.secret')")


@pytest.mark.parametrize(
    ("options", "sqlstate"),
    [
        ({"name": "b.secret"}, "RC007"),
        ({"family": "b.secret"}, "RC006"),
        ({"family": "b.secret", "group": "id"}, "RC006"),
    ],
)
def test_no_name_and_no_family_of_another_team_is_taken(
    plain: World, options: dict[str, str], sqlstate: str
) -> None:
    a = plain.teams()
    with refused(sqlstate):
        attach(a, "app.job", options)


def test_a_table_that_changes_hands_is_no_way_in(plain: World) -> None:
    """team_a gives a watched table to team_b: its code does not run as team_b's runner by that."""
    a = plain.teams()
    attach(a, "app.job", {"only": "app.note('x')"})
    plain.dba.execute(f"alter table app.job owner to {plain.stage.team_b}")  # type: ignore
    plain.orphan()
    plain.notes()
    try:
        boot(plain.dba)
    except psycopg.Error as error:
        print(error)
    assert {who for _, who in plain.notes()} <= {plain.stage.runner}
