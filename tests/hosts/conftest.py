"""Fixtures of the tests with hosts: roles that go, with their runners, after the database."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sql.jobs import Connection

NewRole = Callable[..., str]
DsnOf = Callable[..., str]
Login = Callable[..., Connection]


@pytest.fixture(autouse=True)
def new_role(cluster: Any) -> Iterator[NewRole]:
    """``new_role("team", *memberships) -> name`` of a login; set up before ``dsn``, ends after it."""
    names: list[str] = []
    password = conninfo_to_dict(cluster.dsn()).get("password")

    def create(name: str, *memberships: str) -> str:
        login = f"{name}_{os.getpid()}"
        with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
            conn.execute(
                sql.SQL("create role {} login password {}").format(
                    sql.Identifier(login), sql.Literal(password)
                )
            )
            names.append(login)
            for role in memberships:
                conn.execute(sql.SQL("grant {} to {}").format(*map(sql.Identifier, (role, login))))
        return login

    yield create
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        for name in names:
            for role in (f"recovery_runner_{name}", name):
                conn.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


@pytest.fixture
def dsn_of(dsn: str) -> DsnOf:
    """``dsn_of(role, search_path=..., epoch=...)``; no role: the superuser."""

    def build(role: str | None = None, search_path: str = "", epoch: int | None = None) -> str:
        options = f"-c search_path={search_path} " if search_path else ""
        options += f"-c recovery.server_epoch={epoch}" if epoch is not None else ""
        user = {} if role is None else {"user": role}
        return make_conninfo(dsn, **user, **({"options": options} if options else {}))

    return build


@pytest.fixture
def login(dsn_of: DsnOf) -> Iterator[Login]:
    """``login(role, **options)``: a session in autocommit, see ``dsn_of``."""
    opened: list[Connection] = []

    def connect(role: str | None = None, **options: Any) -> Connection:
        opened.append(psycopg.connect(dsn_of(role, **options), autocommit=True))
        return opened[-1]

    yield connect
    for conn in opened:
        conn.close()
