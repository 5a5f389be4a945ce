"""What stands in a table when it is attached, supervised or detached by somebody with more rights."""

from __future__ import annotations

import psycopg
import pytest

from helpers import wait_for_lock
from security.conftest import World
from security.stage import attach
from security.tricks import literal, on_update, pure
from sql.jobs import Connection, boot, in_background, refused, sweep, value


def test_the_first_example_of_the_issue(plain: World) -> None:
    """An evil trigger, a boot, and a DBA who detaches the table."""
    a = plain.teams()
    team_a = plain.stage.team_a
    attach(plain.dba, "app.job", {})
    on_update(
        a,
        f"""
        begin
            update recovery.watch set undo = undo || '{{"column": false, "default": "0; alter role {team_a} superuser; --"}}';
            perform app.note('wrote undo');
        exception when others then end;
        begin
            update recovery.watch set own_column = false;
            perform app.note('wrote watch');
        exception when others then end;
        begin
            update b.secret set title = 'pwned';
            perform app.note('wrote secret');
        exception when others then end;
        perform app.note('ran')
        """,
    )
    plain.orphan()
    assert boot(plain.dba).closed == {"app.job": 1}
    assert set(plain.notes()) == {("ran", plain.stage.runner)}
    plain.dba.execute("select recovery.detach('app.job')")
    assert value(plain.dba, "select rolsuper from pg_roles where rolname = %s", team_a) is False


@pytest.mark.parametrize("caller", ["superuser", "team_a"])
def test_a_default_is_not_read_with_more_rights_than_the_owners(plain: World, caller: str) -> None:
    """Reading the literal in it executes the check of a domain."""
    a = plain.teams()
    literal(
        a,
        "evil",
        "perform app.note('read'); begin"
        " execute 'create function recovery.evil() returns integer language sql as ''select 1''';"
        " perform app.note('created'); exception when insufficient_privilege then end",
    )
    a.execute(
        "alter table app.job add column server_epoch bigint"
        " default length((('(x)'::app.evil).a)::text)"
    )
    plain.notes()
    conn = plain.session(caller)
    own = {plain.stage.runner, plain.stage.team_a}
    try:
        attach(conn, "app.job", {})
    except psycopg.Error as error:
        print(error)
        return
    notes = plain.notes()
    assert {who for _, who in notes} <= own
    assert "created" not in {what for what, _ in notes}
    conn.execute("select recovery.detach('app.job')")
    notes = plain.notes()
    assert {who for _, who in notes} <= own
    assert "created" not in {what for what, _ in notes}


#: Literals that execute the check of a domain when they are read.
LITERALS = {
    "composite": ("", "('(x)'::app.evil).a is not null"),
    "array of domains": ("", "('{x}'::app.evil_domain[]) is not null"),
    "array of composites": ("", "('{(x)}'::app.evil[]) is not null"),
    "range": (
        "create type app.evil_range as range (subtype = app.evil_domain)",
        "('[x,y)'::app.evil_range) is not null",
    ),
    "multirange": (
        "create type app.evil_range as range (subtype = app.evil_domain,"
        " multirange_type_name = app.evil_ranges)",
        "('{[x,y)}'::app.evil_ranges) is not null",
    ),
    "domain over a composite": (
        "create domain app.evil_outer as app.evil",
        "('(x)'::app.evil_outer) is not null",
    ),
    "row of a table": (
        "create table app.evil_table (a app.evil_domain)",
        "('(x)'::app.evil_table) is not null",
    ),
    "nested": ("create type app.evil_pair as (b app.evil)", "('((x))'::app.evil_pair) is not null"),
}


@pytest.mark.parametrize("kind", LITERALS)
def test_literals_are_read_with_the_owners_rights_only(plain: World, kind: str) -> None:
    """Refused, or read by the runner; never by the superuser that attaches."""
    a = plain.teams()
    literal(a, "evil", "perform app.note('read')")
    ddl, expression = LITERALS[kind]
    if ddl:
        a.execute(ddl)  # type: ignore
    started = f"case when {expression} then timestamptz '2000-01-01 00:00+00' end"
    plain.notes()
    for options, open_ in [
        ({}, f"status = 'running' and {expression}"),
        ({"group": f"({expression})::text"}, "status = 'running'"),
        ({"started": started}, "status = 'running'"),
    ]:
        try:
            attach(plain.dba, "app.job", options, open_)
            plain.dba.execute("select recovery.supervise('app.job', p_started => 'now()')")
        except psycopg.Error as error:
            if error.sqlstate != "RC006":
                raise
        assert {who for _, who in plain.notes()} <= {plain.stage.runner, plain.stage.team_a}
        if value(plain.dba, "select count(*) from recovery.watch where name = 'app.job'"):
            plain.dba.execute("select recovery.detach('app.job')")


#: A name that means an enum and can mean a composite type that runs code when its literal is read.
SWAPPED = """
create type app.kind as enum ('(running)');
create function app.eq(text, app.kind) returns boolean immutable language sql as 'select true';
create function app.eq(text, app.evil) returns boolean immutable language sql as 'select true';
create operator app.=== (leftarg = text, rightarg = app.kind, function = app.eq);
create operator app.=== (leftarg = text, rightarg = app.evil, function = app.eq);
"""
SWAP = "alter type app.kind rename to kind_was; alter type app.evil rename to kind"
USES_IT = "r.status operator(app.===) '(running)'::app.kind"


def _swappable(world: World) -> Connection:
    a = world.teams()
    literal(a, "evil", "perform app.note('read')")
    a.execute(SWAPPED)
    world.notes()
    return a


def _left(world: World) -> tuple[object, ...]:
    """What attaching made of app.job."""
    return (
        value(world.dba, "select count(*) from recovery.watch where name = 'app.job'"),
        value(
            world.dba,
            "select count(*) from pg_index where indrelid = 'app.job'::regclass and not indisprimary",
        ),
        value(
            world.dba,
            "select count(*) from pg_trigger where tgrelid = 'app.job'::regclass and tgname like 'recovery%%'",
        ),
    )


@pytest.mark.parametrize("caller", ["superuser", "team_a"])
@pytest.mark.parametrize("where", ["open", "group", "started"])
def test_a_type_swapped_by_a_second_session_is_read_by_the_runner(
    plain: World, caller: str, where: str
) -> None:
    """Between the compilation and the index the name in an expression gets another meaning."""
    a = _swappable(plain)
    # Compiled after the others, it waits until the second session has swapped.
    literal(a, "slow", "perform pg_advisory_xact_lock(42); perform pg_advisory_unlock(42)")
    a.execute("select pg_advisory_lock(42)")
    options: dict[str, object] = {
        "close": {"status": "'failed'", "title": "(('(x)'::app.slow).a)::text"}
    }
    open_ = "status = 'running'"
    if where == "open":
        open_ += f" and {USES_IT}"
    elif where == "group":
        options["group"] = f"({USES_IT})::text"
    else:
        options["started"] = f"case when {USES_IT} then timestamptz '2000-01-01 00:00+00' end"
    conn = plain.session(caller)
    attaching = in_background(attach, conn, "app.job", options, open_)
    wait_for_lock(plain.dba, conn.info.backend_pid)
    assert plain.notes() == []
    a.execute(SWAP)
    a.execute("select pg_advisory_unlock(42)")
    error = attaching.exception(20)
    if where == "started" and error is None:
        # Its index is the watchdog's.
        with refused("RC006"):
            conn.execute("select recovery.supervise('app.job')")
        notes = plain.notes()
        # With the enum in its place again nothing is amiss.
    else:
        assert isinstance(error, psycopg.Error)
        assert error.sqlstate == "RC006", error
        notes = plain.notes()
        assert _left(plain) == (0, 0, 0)
    assert {who for _, who in notes} <= {plain.stage.runner}
    assert notes, "the literal was never read: this test tests nothing"


@pytest.mark.parametrize("caller", ["superuser", "team_a"])
@pytest.mark.parametrize("then", ["supervise", "attach", "lost trigger", "lost index", "detach"])
def test_a_type_swapped_after_attach_is_read_by_the_runner(
    plain: World, caller: str, then: str
) -> None:
    a = _swappable(plain)
    options = {"started": "timestamptz '2000-01-01 00:00+00'"}
    open_ = f"status = 'running' and {USES_IT}"
    attach(a, "app.job", options, open_)
    plain.orphan()
    a.execute(SWAP)
    plain.notes()
    conn = plain.session(caller)
    if then.startswith("lost"):
        name = value(
            a,
            "select relname from pg_class where relname like 'recovery_open%%' and relnamespace = 'app'::regnamespace",
        )
        a.execute(
            "drop trigger recovery_30_delete on app.job"
            if then == "lost trigger"
            else f"drop index app.{name}"  # type: ignore
        )
    try:
        if then == "supervise":
            conn.execute("select recovery.supervise('app.job')")
        elif then == "detach":
            conn.execute("select recovery.detach('app.job')")
        else:
            attach(conn, "app.job", options, open_)
    except psycopg.Error as error:
        # The watch follows the type that it has got, and its name is that of another one now.
        assert error.sqlstate in ("RC006", "RC007"), error  # noqa: PT017
    for use in (boot, sweep):
        try:
            use(plain.dba)
        except psycopg.Error as error:
            pytest.fail(f"others are stopped: {error}")
    assert {who for _, who in plain.notes()} <= {plain.stage.runner}
    plain.others_go_on()


def test_what_a_swap_in_compiled_code_did_is_gone(plain: World) -> None:
    """Code that runs while we compile swaps the types itself: that is taken back."""
    a = _swappable(plain)
    literal(a, "swap", SWAP)
    attach(
        plain.dba,
        "app.job",
        {"close": {"status": "'failed'", "title": "(('(x)'::app.swap).a)::text"}},
        f"status = 'running' and {USES_IT}",
    )
    # A closing was rehearsed while they were swapped.
    assert {who for _, who in plain.notes()} <= {plain.stage.runner}
    assert value(plain.dba, "select 'app.kind'::regtype = (select oid from pg_type where typname = 'kind' and typtype = 'e')")  # fmt: skip


@pytest.mark.parametrize("caller", ["superuser", "team_a"])
def test_an_index_that_the_runner_may_not_make_runs_nothing_of_the_callers(
    plain: World, caller: str
) -> None:
    """In a schema of somebody else whoever attaches makes it."""
    a = plain.teams()
    team_a = plain.stage.team_a
    pure(a, "says", "perform app.note('says')")
    literal(a, "evil", "perform app.note('read')")
    a.execute(
        "create type app.kind as enum ('a'); create function app.any(app.kind) returns boolean immutable language plpgsql as $$ begin return app.says('x'); end $$"
    )
    plain.dba.execute(
        f"create schema z; grant usage on schema z to {team_a};"  # type: ignore
        f"create table z.job (id bigint primary key, status text, title text, error text); alter table z.job owner to {team_a}"
    )
    plain.dba.execute("insert into z.job values (1, 'running')")
    conn = plain.session(caller)
    for open_ in (
        "app.says('x')",
        "app.says(r.status)",
        "app.any('a'::app.kind)",
        "status = 'running' and ('(x)'::app.evil).a is not null",
    ):
        try:
            attach(conn, "z.job", {"group": "app.says(r.status)::text"}, open_)
        except psycopg.Error as error:
            assert error.sqlstate in ("RC006", "42501"), error  # noqa: PT017
        else:
            conn.execute("select recovery.detach('z.job')")
        assert {who for _, who in plain.notes()} <= {plain.stage.runner, team_a}


@pytest.mark.parametrize(
    "expression",
    [
        "true); select app.note('two'",
        "true) from app.job as r; create table recovery.evil (); select (true",
        "true as recovery_value, r.tableoid as recovery_row from app.job as r; select app.note('x'); --",
        "true) as recovery_value, 1 as recovery_row; alter role {team_a} superuser; --",
        "status = ';' or true); drop table app.note; --",
        'true or "a"";b" = 1',
    ],
)
def test_one_expression_is_one_expression(plain: World, expression: str) -> None:
    a = plain.teams()
    try:
        attach(plain.dba, "app.job", {}, expression.replace("{team_a}", plain.stage.team_a))
    except psycopg.Error as error:
        if error.sqlstate not in ("RC006", "42501"):
            raise
    else:
        pytest.fail("it was attached")
    assert {who for _, who in plain.notes()} <= {plain.stage.runner}
    assert value(plain.dba, "select to_regclass('recovery.evil')") is None
    assert (
        value(plain.dba, "select rolsuper from pg_roles where rolname = %s", plain.stage.team_a)
        is False
    )
    a.execute("select 1")


@pytest.mark.parametrize(
    "ddl",
    [
        "create rule host as on update to app.job do also select app.note('rule')",
        "create rule host as on update to app.job do instead select app.note('rule')",
        "alter table app.job enable row level security, force row level security;"
        "create policy host on app.job using (app.note('policy'))",
    ],
)
def test_what_closings_cannot_work_with_is_refused(plain: World, ddl: str) -> None:
    a = plain.teams()
    a.execute(ddl)  # type: ignore
    with refused("RC006"):
        attach(plain.dba, "app.job", {})
    assert plain.notes() == []


def test_an_immutable_function_is_folded_by_the_runner(plain: World) -> None:
    a = plain.teams()
    pure(a, "fold", "perform app.note('folded')")
    attach(plain.dba, "app.job", {"close": {"status": "'failed'", "title": "app.fold('x')::text"}})
    assert {who for _, who in plain.notes()} == {plain.stage.runner}


def test_a_function_of_somebody_else_is_refused_for_a_table_of_a_superuser(plain: World) -> None:
    """There the runner is no member of the owner; the index would be built with a superuser's rights."""
    a = plain.teams()
    pure(a, "open", "perform app.note('x')")
    plain.dba.execute(
        "create schema admin; create table admin.job (id bigint primary key, status text)"
    )
    with refused("RC006"):
        attach(plain.dba, "admin.job", {"close": {"status": "'failed'"}}, "app.open(status)")
    assert plain.notes() == []
