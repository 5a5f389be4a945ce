"""recovery.attach twice: the same specification repairs, and else does nothing; another one is RC007."""

from __future__ import annotations

import psycopg
import pytest

from sql.jobs import CLOSE, Connection, add, attach, boot, fingerprint, refused, statuses, value


def test_the_same_specification_again_does_nothing(jobs: Connection) -> None:
    before = fingerprint(jobs, "app.job")
    assert attach(jobs) == "app.job"
    assert fingerprint(jobs, "app.job") == before


def test_another_specification_is_refused(jobs: Connection) -> None:
    with refused("RC007", "app.job.*another specification"):
        attach(jobs, open="status = 'queued'")


def test_a_name_is_given_once(jobs: Connection) -> None:
    jobs.execute("create table app.other (id int primary key, status text, error text)")
    with refused("RC007", "app.job"):
        attach(jobs, "app.other", name="app.job")


def test_after_detach_another_specification_is_welcome(jobs: Connection) -> None:
    jobs.execute("select recovery.detach('app.job')")
    assert attach(jobs, name="jobs", open="status = 'queued'") == "jobs"


def test_what_is_only_spelled_differently_is_the_same(jobs: Connection) -> None:
    before = fingerprint(jobs, "app.job")
    attach(
        jobs, open="(r.status) = 'running'::text", close=CLOSE.replace("c.message", "(c.message)")
    )
    assert fingerprint(jobs, "app.job") == before
    spec = value(jobs, "select spec ->> 'open' from recovery.watch where name = 'app.job'")
    assert spec == "(r.status) = 'running'::text"


def test_the_hint_says_how_to_change_it_and_not_to_detach(jobs: Connection) -> None:
    with pytest.raises(psycopg.Error) as caught:
        attach(jobs, open="status = 'queued'")
    assert "select recovery.alter('app.job'" in str(caught.value.diag.message_hint)
    assert "detach" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        "alter table app.job disable trigger recovery_20_update",
        "alter table app.job disable trigger zz_recovery_10_insert",
        "alter table app.job enable always trigger recovery_10_insert",
        "drop trigger recovery_10_insert on app.job",
        "drop function recovery.watch_{id}_insert() cascade",
        "drop function recovery.watch_{id}_truncate() cascade",
        "drop index app.recovery_open_{id}",
        "drop index app.recovery_open_{id}; create index recovery_open_{id} on app.job (status)",
        "update pg_index set indisvalid = false where indexrelid = 'app.recovery_open_{id}'::regclass",
        "alter table app.job drop column server_epoch cascade",
        "revoke insert on recovery.outbox_{id} from public, {role}",
        "revoke insert on recovery.outbox_{id}_single from public, {role}",
        "drop view recovery.outbox_{id}",
        "drop view recovery.outbox_{id}_single",
        "revoke all on app.job from {role}",
        "alter function recovery.watch_{id}_insert() security invoker",
        "drop function recovery_private.run_{runner}(text, recovery.task, text)",
    ],
)
def test_p13_repeating_it_repairs(jobs: Connection, damage: str) -> None:
    names = jobs.execute(
        "select w.id, r.role, r.id from recovery.watch as w join recovery.runner as r on r.id = w.runner"
        " where w.name = 'app.job'"
    ).fetchone()
    assert names is not None
    before = fingerprint(jobs, "app.job")
    jobs.execute(damage.format(id=names[0], role=names[1], runner=names[2]))  # type: ignore
    flaw = "select recovery._watch_flaw(w) from recovery.watch as w where name = 'app.job'"
    assert value(jobs, flaw) or "run_" in damage or "app.job from" in damage
    attach(jobs)
    assert value(jobs, flaw) is None
    assert fingerprint(jobs, "app.job") == before
    dead = boot(jobs).epoch
    add(jobs, dead)
    boot(jobs)
    assert set(statuses(jobs).values()) == {"failed"}
    assert value(jobs, "select count(*) from recovery.event where kind = 'closed'") == 1
