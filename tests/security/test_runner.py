"""The runner owns the function that executes its code: what it can make of that."""

from __future__ import annotations

import psycopg
import pytest

from security.conftest import World
from security.stage import attach
from security.tricks import on_update, pure
from sql.jobs import boot, lapse, shutdown, sweep, value

SIGNATURE = "(text, recovery.task, text)"
#: What code that is the runner tries with what its runner owns, and whether that succeeds.
CHANGES = {
    "invoker": ("alter function {run} security invoker", False),
    "public": ("grant execute on function {run} to public", False),
    "path": ("alter function {run} set search_path = app, pg_catalog", False),
    "dropped": ("drop function {run}", False),
    "dropped with all": ("drop function {run} cascade", False),
    "moved": ("alter function {run} set schema app", False),
    "renamed": ("alter function {run} rename to evil", False),
    "cost": ("alter function {run} rows 1000000 cost 1000000 leakproof", False),
    "owner": ("alter function {run} owner to {team_a}", False),
    "revoked": ("revoke all on function {run} from recovery_owner", False),
    "revoked from all": (
        "revoke all on all functions in schema recovery_private from recovery_owner",
        False,
    ),
    "replaced": (
        "create or replace function recovery_private.run_{number}(p_sql text, p_task recovery.task,"
        " p_mode text) returns setof jsonb language sql as 'select null::jsonb'",
        False,
    ),
    "called": ("perform {call}('select to_jsonb(1)', null, 'read')", False),
    "given away": ("reassign owned by {runner} to {team_a}", False),
    "another's dropped": ("drop function {other}", False),
    "another's revoked": ("revoke all on function {other} from recovery_owner", False),
    "another's called": ("perform {other_call}('select to_jsonb(1)', null, 'read')", False),
    "another's owned": ("drop owned by {other_runner} cascade", False),
    "the group's owned": ("drop owned by recovery_runner cascade", False),
    "the schema opened": (
        "grant usage on schema recovery_private to {team_a};"
        " if not has_schema_privilege('{team_a}', 'recovery_private', 'usage') then raise 'no'; end if",
        False,
    ),
    "event trigger": (
        "create event trigger evil on ddl_command_start execute function app.fire()",
        False,
    ),
    # its own triggers
    "triggers dropped": ("drop function if exists recovery.watch_{watch}_update() cascade", True),
    "triggers invoker": (
        "alter function recovery.watch_{watch}_update() security invoker",
        True,
    ),
    "triggers' path": (
        "alter function recovery.watch_{watch}_update() set search_path = app, pg_catalog",
        True,
    ),
}


def _fill(world: World, text: str) -> str:
    number, other = world.runner(), world.runner("team_b")
    return (
        text.replace("{run}", f"recovery_private.run_{number}{SIGNATURE}")
        .replace("{call}", f"recovery_private.run_{number}")
        .replace("{other}", f"recovery_private.run_{other}{SIGNATURE}")
        .replace("{other_call}", f"recovery_private.run_{other}")
        .replace("{other_runner}", f"recovery_runner_{world.stage.team_b}")
        .replace("{runner}", world.stage.runner)
        .replace("{number}", str(number))
        .replace("{team_a}", world.stage.team_a)
        .replace("{watch}", str(_watch(world)))
    )


def _watch(world: World) -> int:
    return int(value(world.dba, "select id from recovery.watch where name = 'app.job'"))


def _function(world: World) -> object:
    """What the function of the runner is, and who may call it."""
    return world.dba.execute(
        "select p.proowner::regrole::text, p.prosecdef, p.proconfig, p.proacl::text, p.prosrc,"
        " p.procost, p.prorows, p.proleakproof, n.nspname, n.nspacl::text"
        " from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace where p.proname = %s",
        (f"run_{world.runner()}",),
    ).fetchall()


@pytest.mark.parametrize("change", CHANGES)
def test_the_next_boots_give_nothing_and_everybody_is_served(plain: World, change: str) -> None:
    a = plain.teams()
    attach(a, "app.job", {})
    statement, succeeds = CHANGES[change]
    before = _function(plain)
    on_update(
        a,
        f"begin {_fill(plain, statement)}; perform app.note('done');"
        " exception when others then perform app.note('refused'); end",
    )
    # As the table's owner may: whoever executes it, it gets on.
    a.execute("grant all on app.job to public; grant create, usage on schema app to public")
    plain.orphan()
    for key in range(2, 4):
        assert boot(plain.dba).closed == {"app.job": 1}
        epoch = plain.orphan(key)
        lapse(plain.dba, epoch)
        assert sweep(plain.dba)["closed"] == {"app.job": 1}
        plain.orphan(key + 10)
    assert set(plain.notes()) == {("done" if succeeds else "refused", plain.stage.runner)}
    assert _function(plain) == before
    # Without its triggers the table's writes are neither fenced nor told: status says so.
    assert plain.problems() == ({"app.job"} if change == "triggers dropped" else set())
    plain.others_go_on()


#: What code that became its runner can do to what the runner owns, and what is worse for nobody else.
DROPS = {
    "owned": "drop owned by {runner} cascade",
    "triggers": "drop function if exists recovery.watch_{watch}_insert(), recovery.watch_{watch}_update(),"
    " recovery.watch_{watch}_delete() cascade",
}


@pytest.mark.parametrize("drop", DROPS)
def test_a_runner_that_drops_what_it_owns_stops_its_owner_only(plain: World, drop: str) -> None:
    a = plain.teams()
    attach(a, "app.job", {})
    body = _fill(plain, DROPS[drop])
    # From a trigger of the table that is closed, and from all that is asked of it.
    on_update(
        a, f"begin {body}; exception when others then perform app.note('x'); raise 'mine'; end"
    )
    plain.orphan()
    try:
        boot(plain.dba)
    except psycopg.Error as error:
        pytest.fail(f"a boot failed: {error}")
    assert {who for _, who in plain.notes()} <= {plain.stage.runner}
    a.execute("drop trigger fire on app.job")
    # And if it goes through, say from a table that is none of ours.
    with plain.session() as runner:
        runner.execute(f"set session authorization {plain.stage.runner}")  # type: ignore
        for statement in body.split(";"):
            runner.execute(statement)  # type: ignore
    open_ = plain.dba.execute("select id from app.job where status = 'running'").fetchall()
    if not open_:
        plain.dba.execute(
            "insert into app.job (id, status, server_epoch)"
            " select 50, 'running', max(epoch) from recovery.server"
        )
    for _ in range(2):
        plain.others_go_on(int(value(plain.dba, "select count(*) from b.secret")) + 100)
        boot(plain.dba)
        sweep(plain.dba)
    if drop == "owned":
        assert plain.problems() == {"app.job"}
        server = plain.session("server")
        assert value(server, "select count(*) from recovery.problem where name = 'app.job'") == 1
        assert value(plain.dba, "select count(*) from app.job where status = 'running'") > 0
    plain.dba.execute("select recovery.permit(%s::regrole)", (plain.stage.team_a,))
    attach(a, "app.job", {})
    boot(plain.dba)
    sweep(plain.dba)
    assert value(plain.dba, "select count(*) from app.job where status = 'running'") == 0
    assert plain.problems() == set()
    # Its triggers are there again: the fence, and the event of new work.
    live = boot(plain.dba, "live")
    plain.dba.execute(
        "insert into app.job (id, status, server_epoch) values (60, 'running', %s)", (live.epoch,)
    )
    last = "select kind from recovery.event where watch = 'app.job' order by id desc limit 1"
    assert value(plain.dba, last) == "opened"
    shutdown(plain.dba, live.epoch)
    assert value(plain.dba, last) == "closed"
    with pytest.raises(psycopg.Error) as caught:
        plain.dba.execute(
            "insert into app.job (id, status, server_epoch) values (61, 'running', %s)",
            (live.epoch,),
        )
    assert caught.value.sqlstate == "RC001"
    assert value(plain.dba, "select rolsuper or rolcreaterole or rolcanlogin from pg_roles where rolname = %s", plain.stage.runner) is False  # fmt: skip
    a.execute("select recovery.detach('app.job')")


def test_code_that_is_only_read_changes_nothing_either(plain: World) -> None:
    """Status, preview and the search for orphans call the runner's function as well."""
    a = plain.teams()
    attach(a, "app.job", {})
    tries = "".join(
        f"begin {_fill(plain, statement)}; perform app.note('{name.replace(chr(39), '')}');"
        " exception when others then null; end;"
        for name, (statement, succeeds) in CHANGES.items()
        if not succeeds and name != "event trigger"
    )
    a.execute("select recovery.detach('app.job')")
    pure(
        a,
        "open",
        f"if current_setting('test.armed', true) = 'on' then perform app.note('x'); {tries}"
        " begin perform token from recovery.server; perform app.note('read a token');"
        " exception when insufficient_privilege then end; end if",
    )
    attach(a, "app.job", {"only": "app.open(status)"})
    a.execute("grant all on app.job to public; grant create, usage on schema app to public")
    before = _function(plain)
    plain.orphan()
    conn = plain.session("server")
    conn.execute("set test.armed = 'on'")
    for _ in range(2):
        conn.execute("select * from recovery.watch_status").fetchall()
        conn.execute("select * from recovery.preview('api')").fetchall()
        conn.execute("call recovery.sweep()")
    assert set(plain.notes()) == {("x", plain.stage.runner)}
    assert _function(plain) == before
    plain.others_go_on()


def test_whoever_calls_the_generated_functions_directly_gets_nothing(plain: World) -> None:
    a = plain.teams()
    attach(a, "app.job", {})
    for role in ("server", "listener", "team_a", "team_b", "team_c"):
        conn = plain.session(role)
        for number in (plain.runner(), plain.runner("team_b")):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="recovery_private"):
                conn.execute(
                    f"select recovery_private.run_{number}('select to_jsonb(1)', null, 'read')"  # type: ignore
                )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select recovery._run_as_owner(1, 'select 1')")


def test_the_private_schema_is_open_to_the_owner_role_alone(plain: World) -> None:
    attach(plain.teams(), "app.job", {})
    assert (
        plain.dba.execute(
            "select rolname, has_schema_privilege(oid, 'recovery_private', 'usage'),"
            " has_schema_privilege(oid, 'recovery_private', 'create') from pg_roles"
            " where rolname ~ '^(recovery_|team_)' and not rolsuper"
            " and not pg_has_role(oid, 'recovery_owner', 'member')"
            " and (has_schema_privilege(oid, 'recovery_private', 'usage')"
            " or has_schema_privilege(oid, 'recovery_private', 'create'))"
        ).fetchall()
        == []
    )
    # Nobody is a member of a runner, so that nobody becomes one.
    assert (
        plain.dba.execute(
            "select m.member::regrole, m.roleid::regrole from pg_auth_members as m"
            " where m.roleid in (select r.oid from pg_roles as r join recovery.runner as n on n.role = r.rolname)"
        ).fetchall()
        == []
    )
