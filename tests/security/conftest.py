"""Fixtures of the attacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from security.stage import Stage
from sql.jobs import Connection, boot, lapse, sweep, value


class World:
    """A database of one test, and sessions of its roles."""

    def __init__(self, stage: Stage, dsn: str, stack: ExitStack) -> None:
        self.stage = stage
        self.dsn = dsn
        self._stack = stack
        self.heard: list[str] = []  # messages outlive what is taken back
        self.dba = self.session()

    def session(self, role: str = "superuser") -> Connection:
        """A new session of a role."""
        conn = self._stack.enter_context(self.stage.connect(self.dsn, role))
        conn.add_notice_handler(lambda said: self.heard.append(said.message_primary or ""))
        return conn

    def teams(self) -> Connection:
        """A session of team_a, which owns schema app and app.job; b.secret of team_b is watched."""
        return self.session("team_a")

    def notes(self) -> list[tuple[str, str]]:
        """What code of team_a told, and as whom; forgets it."""
        notes = [said.removeprefix("note ") for said in self.heard if said.startswith("note ")]
        self.heard.clear()
        return [tuple(json.loads(note)) for note in notes]

    def orphan(self, key: int = 1, table: str = "app.job") -> int:
        """A row whose server the next boot of that name supersedes; the epoch."""
        epoch = boot(self.dba).epoch
        self.dba.execute(
            f"insert into {table} (id, status, server_epoch) values ({key}, 'running', {epoch})"
        )  # type: ignore
        return epoch

    def others_go_on(self, key: int = 900) -> None:
        """Work of team_b is closed by a boot and by a sweep."""
        for n, end in enumerate((lambda: boot(self.dba, "another"), lambda: sweep(self.dba))):
            epoch = boot(self.dba, "another").epoch
            self.dba.execute(
                "insert into b.secret (id, status, server_epoch) values (%s, 'running', %s)",
                (key + n, epoch),
            )
            if n:
                lapse(self.dba, epoch)
            end()
            assert value(self.dba, "select status from b.secret where id = %s", key + n) == "failed"

    def problems(self) -> set[str]:
        """Watches that are passed over."""
        found = self.dba.execute("select name from recovery.problem where kind = 'watch'")
        return {name for (name,) in found.fetchall()}

    def runner(self, team: str = "team_a") -> int:
        """The number of a team's runner."""
        owner = getattr(self.stage, team)
        return int(
            value(self.dba, "select id from recovery.runner where owner = %s::regrole", owner)
        )


@pytest.fixture(scope="session")
def stages(servers: Any) -> Iterator[dict[int, Stage]]:
    """The stage of each major, made once; gone before the servers are."""
    made: dict[int, Stage] = {}
    yield made
    for stage in made.values():
        stage.leave()


@pytest.fixture
def stage(cluster: Any, template: str, stages: dict[int, Stage]) -> Stage:
    """The roles of this process on that server."""
    if cluster.major not in stages:
        stage = stages[cluster.major] = Stage(cluster, template)
        stage.make_roles()
    return stages[cluster.major]


@pytest.fixture
def world(stage: Stage) -> Iterator[World]:
    """A copy of the database that has a table for every place."""
    stage.build()
    with stage.database(stage.name) as dsn, ExitStack() as stack:
        yield World(stage, dsn, stack)


@pytest.fixture
def plain(stage: Stage) -> Iterator[World]:
    """A database of two teams that have a table each, and the same roles."""
    stage.prepare()
    with stage.database(stage.prepared) as dsn, ExitStack() as stack:
        yield World(stage, dsn, stack)
