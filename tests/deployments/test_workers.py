"""Promise 15 in the deployments that people have: several processes, one name.

An independent look at the rows says whether a worker's word and the database agree.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from deployments.servers import Deployment, Load
from helpers import wait_for
from sql.jobs import Connection, value

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(180)]

Deploy = Callable[..., Deployment]
FAST: dict[str, Any] = {"sweep": 0.3}

KINDS = ["uvicorn", "gunicorn-asgi", "gunicorn-wsgi", "gunicorn-preload"]


def failed(jobs: Connection) -> set[int]:
    return {row[0] for row in jobs.execute("select id from app.job where status = 'failed'")}


def live(jobs: Connection) -> int:
    return int(value(jobs, "select count(*) from recovery.server where ended is null"))


def check(jobs: Connection, answers: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """No live row was closed: what a worker finished is done, and it could finish all."""
    assert [answer for answer in answers if answer[0] != 200] == []
    done = {row[0] for row in jobs.execute("select id from app.job where status = 'done'")}
    assert {answer["id"] for _, answer in answers} <= done


@pytest.mark.parametrize("kind", KINDS)
def test_workers_of_one_name(jobs: Connection, deploy: Deploy, kind: str) -> None:
    """Each has its epoch; none ends another; one that is killed is found at once."""
    served = deploy(kind, 3, **FAST).ready(3)
    with Load([served]) as load:
        load.since(300)
    check(jobs, load.answers)
    assert failed(jobs) == set()
    owners = {answer["pid"]: answer["epoch"] for _, answer in load.answers}
    assert len(owners) == len(set(owners.values())) == 3
    assert None not in owners.values()

    held = {}
    while len(held) < 3:
        _, found = served.get("/hold")
        held.setdefault(found["pid"], []).append(found["id"])
    victim, *others = held
    kept = {id_ for pid in others for id_ in held[pid]}
    with Load([served]) as load:
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: failed(jobs) >= set(held[victim]), 10, what="its row is closed")
        load.since(100)  # and the worker in its place has booted
    check(jobs, load.answers)
    assert failed(jobs) >= set(held[victim])  # and what it had begun for the load
    assert not failed(jobs) & (kept | {answer["id"] for _, answer in load.answers})
    (why,) = jobs.execute(
        "select distinct reason from recovery.event where kind = 'closed' and key = any(%s)",
        ([str(id_) for id_ in held[victim]],),
    ).fetchone()  # type: ignore[misc]
    assert why in ("superseded", "process_dead")
    orphans = value(
        jobs,
        "select count(*) from app.job as j join recovery.server as s on s.epoch = j.server_epoch"
        " where j.status = 'running' and s.ended is not null",
    )
    assert orphans == 0


def test_reload_with_overlapping_lives(jobs: Connection, deploy: Deploy) -> None:
    """gunicorn's SIGHUP: new workers boot while the old ones finish what they have."""
    served = deploy("gunicorn-asgi", 2, **FAST).ready(2)
    before = served.pids()
    with Load([served]) as load:
        load.since(50)
        served.signal(signal.SIGHUP)
        wait_for(lambda: len(served.pids() - before) == 2, 60)
        load.since(100)
    check(jobs, load.answers)
    assert failed(jobs) == set()
    wait_for(lambda: live(jobs) == 2, 20)


def test_a_rolling_deploy(jobs: Connection, deploy: Deploy) -> None:
    """The next release is up before the last one stops; both have one name."""
    old = deploy("uvicorn", 2, **FAST).ready(2)
    with Load([old]) as load:
        load.since(50)
        new = deploy("uvicorn", 2, version="2", **FAST).ready(2)
        assert live(jobs) == 4
        load.since(50)
        load.deployments[:] = [new]
        load.since(50)
        old.stop()
        load.since(100)
    check(jobs, load.answers)
    assert failed(jobs) == set()
    wait_for(lambda: live(jobs) == 2, 20)


def namespaces() -> bool:
    tried = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], check=False)
    return tried.returncode == 0


@pytest.mark.skipif(not namespaces(), reason="no right to make a pid namespace")
def test_two_containers_of_one_name(jobs: Connection, deploy: Deploy) -> None:
    """They can't see each other's processes, and the same pids mean others there."""
    inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    one, other = (deploy("uvicorn", 1, prefix=inside, **FAST) for _ in range(2))
    one.ready(), other.ready()
    assert one.pids() == other.pids() or live(jobs) == 2
    with Load([one, other]) as load:
        load.since(200)
    check(jobs, load.answers)
    assert failed(jobs) == set()
    assert value(jobs, "select count(distinct host) from recovery.server where ended is null") == 2
    lost, kept = one.get("/hold")[1]["id"], other.get("/hold")[1]["id"]
    os.killpg(one.process.pid, signal.SIGKILL)
    again = deploy("uvicorn", 1, prefix=inside, **FAST).ready()
    assert failed(jobs) == {lost}  # at the boot of the next container, or before
    assert kept not in failed(jobs)
    assert again.get("/work")[0] == 200
