"""Servers whose sessions are the ORM's, and their death."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.orm import Session

from sql.jobs import boot


class Servers:
    """Servers of one database, by name."""

    def __init__(self, conn: psycopg.Connection[Any], url: sa.URL, stack: ExitStack) -> None:
        self._conn, self._url, self._stack = conn, url, stack
        self.epochs: dict[str, int] = {}

    def engine(self, name: str | None) -> sa.Engine:
        """An engine whose connections are those of a server; None: of nobody."""
        options = {}
        if name is not None:
            if name not in self.epochs:
                self.epochs[name] = boot(self._conn, name).epoch
            options = {"options": f"-c recovery.server_epoch={self.epochs[name]}"}
        engine = sa.create_engine(self._url, connect_args=options)
        self._stack.callback(engine.dispose)
        return engine

    def session(self, name: str | None) -> Session:
        """A session of the ORM in a server."""
        return self._stack.enter_context(Session(self.engine(name), expire_on_commit=False))

    def crash(self, name: str) -> dict[str, int]:
        """The server dies, and boots again; what that closed."""
        del self.epochs[name]
        booted = boot(self._conn, name)
        self.epochs[name] = booted.epoch
        return booted.closed


@pytest.fixture(autouse=True)
def owner(cluster: Any) -> Iterator[str]:
    """A role without rights of its own: the host's. It goes after the databases, with its runner."""
    name = f"declare_{os.getpid()}"
    password = conninfo_to_dict(cluster.dsn()).get("password")
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(
            sql.SQL("create role {} login password {}").format(
                sql.Identifier(name), sql.Literal(password)
            )
        )
        yield name
        for role in (f"recovery_runner_{name}", name):
            conn.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


@pytest.fixture
def servers_of(conn: psycopg.Connection[Any], url: sa.URL, owner: str) -> Iterator[Servers]:
    """The servers of the test's database, all as the owner of its tables."""
    for statement in (
        "grant create on database {database} to {owner}",
        "grant create on schema public to {owner}",
        "select recovery.permit({owner_}::regrole)",
    ):
        conn.execute(
            sql.SQL(statement).format(
                database=sql.Identifier(conn.info.dbname),
                owner=sql.Identifier(owner),
                owner_=sql.Literal(owner),
            )
        )
    with ExitStack() as stack:
        yield Servers(conn, url.set(username=owner), stack)
