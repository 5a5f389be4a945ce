"""Fixtures of the attacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from security.stage import Stage, attach
from sql.jobs import Connection, boot, value


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
        """Schemas app of team_a and b of team_b, a function that tells; the session of team_a."""
        for schema, team in (("app", self.stage.team_a), ("b", self.stage.team_b)):
            self.dba.execute(f"create schema {schema} authorization {team}")  # type: ignore
            self.dba.execute(f"grant usage on schema {schema} to public")  # type: ignore
            self.dba.execute("select recovery.permit(%s::regrole)", (team,))
        b = self.session("team_b")
        b.execute("create table b.secret (id bigint primary key, status text, title text)")
        attach(b, "b.secret", {"close": {"status": "'failed'"}})
        a = self.session("team_a")
        a.execute(NOTES)
        return a

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

    def runner(self, team: str = "team_a") -> int:
        """The number of a team's runner."""
        owner = getattr(self.stage, team)
        return int(
            value(self.dba, "select id from recovery.runner where owner = %s::regrole", owner)
        )


NOTES = """
    create function app.note(what text) returns boolean language plpgsql as $$
        begin
            raise warning 'note %', pg_catalog.json_build_array(what, current_user);
            return true;
        end $$;
    create table app.job (id bigint primary key, status text, title text, error text);
"""


@pytest.fixture(scope="session")
def stages(servers: Any) -> Iterator[dict[int, Stage]]:
    """The stage of each major, made once; gone before the servers are."""
    made: dict[int, Stage] = {}
    yield made
    for stage in made.values():
        stage.server.drop_database(stage.name)
        stage.drop_roles()


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
    """A database without any table, and the same roles."""
    with stage.database(stage.bare) as dsn, ExitStack() as stack:
        yield World(stage, dsn, stack)
