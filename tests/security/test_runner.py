"""The runner owns the function that executes its code: what it can make of that."""

from __future__ import annotations

import psycopg
import pytest

from security.conftest import World
from security.stage import attach
from security.tricks import on_update, pure
from sql.jobs import boot, sweep, value

SIGNATURE = "(text, recovery.task, text)"
#: What is done to recovery.run_<id>, by code that is the runner.
CHANGES = {
    "invoker": "alter function {run} security invoker; grant execute on function {run} to public",
    "path": "alter function {run} set search_path = app, pg_catalog",
    "path of gate": "alter function {gate} set search_path = app, pg_catalog",
    "dropped": "drop function {run}",
    "moved": "alter function {run} set schema app",
    "renamed": "alter function {run} rename to evil",
    "cost": "alter function {run} rows 1000000 cost 1000000 leakproof",
    "revoked": "revoke all on function {run} from recovery_gate_{team_a}",
    "owned": "drop owned by recovery_runner_{team_a}",
    "triggers dropped": "drop function recovery.watch_{watch}_update() cascade",
    "triggers invoker": "alter function recovery.watch_{watch}_update() security invoker",
}


def _fill(world: World, text: str) -> str:
    number = world.runner()
    return (
        text.replace("{run}", f"recovery.run_{number}{SIGNATURE}")
        .replace("{gate}", f"recovery.gate_{number}{SIGNATURE}")
        .replace("{team_a}", world.stage.team_a)
        .replace("{watch}", str(value(world.dba, "select max(id) from recovery.watch")))
    )


def _others_go_on(world: World, key: int) -> None:
    """Work of team_b is closed by boots and sweeps."""
    epoch = value(world.dba, "select max(epoch) from recovery.server")
    world.dba.execute(
        f"insert into b.secret (id, status, server_epoch) values ({key}, 'running', {epoch})"
    )  # type: ignore
    boot(world.dba)
    sweep(world.dba)
    assert value(world.dba, f"select status from b.secret where id = {key}") == "failed"


@pytest.mark.parametrize("change", CHANGES)
def test_the_next_boot_gives_nothing_and_others_go_on(plain: World, change: str) -> None:
    a = plain.teams()
    attach(a, "app.job", {})
    body = _fill(plain, CHANGES[change])
    on_update(
        a, f"begin {body}; exception when insufficient_privilege then end; perform app.note('x')"
    )
    # As the table's owner may: whoever executes it, it gets on.
    a.execute("grant all on app.job to public; grant create, usage on schema app to public")
    plain.orphan()
    who = set()
    for key in range(2, 6):
        try:
            boot(plain.dba)
            sweep(plain.dba)
        except psycopg.Error as error:
            print(error)
        who |= {name for _, name in plain.notes()}
        try:
            plain.orphan(key)
        except psycopg.Error as error:
            print(error)
    assert who == {plain.stage.runner}
    _others_go_on(plain, 1)


def test_the_gate_is_not_altered_by_code_that_became_the_gate(plain: World) -> None:
    """First run_<id> runs as the gate, then gate_<id> as recovery_owner."""
    a = plain.teams()
    body = _fill(
        plain,
        """
        perform app.note('x');
        begin
            alter function {run} security invoker;
            grant execute on function {run} to public;
        exception when insufficient_privilege then end;
        begin
            alter function {gate} security invoker;
        exception when insufficient_privilege then end;
        begin
            perform token from recovery.server;
            perform app.note('read a token');
        exception when insufficient_privilege then end
        """,
    )
    pure(a, "open", f"if current_setting('test.armed', true) = 'on' then {body}; end if")
    attach(a, "app.job", {"only": "app.open(status)"})
    a.execute("grant all on app.job to public; grant create, usage on schema app to public")
    plain.orphan()
    conn = plain.session("server")
    conn.execute("set test.armed = 'on'")
    notes: list[tuple[str, str]] = []
    for _ in range(4):
        for statement in ("select * from recovery.watch_status", "call recovery.sweep()"):
            try:
                conn.execute(statement)  # type: ignore
            except psycopg.Error as error:
                print(error)
            notes += plain.notes()
    assert ("x", plain.stage.runner) in notes
    assert {who for _, who in notes} == {plain.stage.runner}
    assert "read a token" not in {what for what, _ in notes}


def test_whoever_calls_the_generated_functions_directly_gets_nothing(plain: World) -> None:
    a = plain.teams()
    attach(a, "app.job", {})
    for role in ("server", "listener", "team_a", "team_b", "team_c"):
        conn = plain.session(role)
        for number in (plain.runner(), plain.runner("team_b")):
            for name in ("run", "gate"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(f"select recovery.{name}_{number}('select 1', null, 'do')")  # type: ignore
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select recovery.run(1, 'select 1')")
