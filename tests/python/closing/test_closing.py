"""recovery.close, preview and evict, wherever the caller is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import recovery
from recovery import ClosedRow, PreviewRow

pytestmark = pytest.mark.majors("newest")

Connection = psycopg.Connection[Any]
Jobs = Callable[..., list[int]]
States = Callable[[], dict[int, tuple[str, str | None]]]


def test_a_row_is_closed_from_its_address(dsn: str, jobs: Jobs, states: States) -> None:
    server = recovery.boot(dsn, "api-1")
    stuck, other = jobs(server.epoch, 2)
    seen = recovery.close(dsn, str(stuck), dry_run=True)
    assert seen == [ClosedRow("public.job", str(stuck), "s1", server.epoch)]
    assert states()[stuck] == ("running", None)
    assert recovery.close(dsn, str(stuck), reason="model hangs") == seen
    assert states() == {stuck: ("failed", "model hangs"), other: ("running", None)}


def test_it_happens_in_the_callers_transaction(
    dsn: str, engine: sa.Engine, jobs: Jobs, states: States
) -> None:
    (stuck,) = jobs(recovery.boot(dsn, "api-1").epoch)
    with psycopg.connect(dsn) as conn:
        assert len(recovery.close(conn, "s1", scope="group")) == 1
        conn.rollback()
    with engine.connect() as connection:
        assert len(recovery.close(connection, str(stuck), watch="public.job")) == 1
        connection.rollback()
    assert states() == {stuck: ("running", None)}


def test_what_cannot_be_closed(dsn: str, jobs: Jobs) -> None:
    (key,) = jobs(recovery.boot(dsn, "api-1").epoch)
    with pytest.raises(recovery.WatchUnknown):
        recovery.close(dsn, str(key), watch="public.nothing")
    with pytest.raises(recovery.InvalidArgument):
        recovery.close(dsn, "4711")
    with pytest.raises(recovery.InvalidArgument):
        recovery.close(dsn, str(key), reason=" ")


def test_a_preview_changes_nothing(dsn: str, jobs: Jobs, states: States) -> None:
    server = recovery.boot(dsn, "api-1")
    (key,) = jobs(server.epoch)
    assert recovery.preview(dsn) == []
    found = recovery.preview(dsn, boot="api-1")
    assert found == [PreviewRow("close", "superseded", "public.job", str(key), "s1", server.epoch)]
    assert states() == {key: ("running", None)}


def test_an_eviction_ends_a_server_and_closes_its_work(
    dsn: str, jobs: Jobs, states: States
) -> None:
    hung, other = recovery.boot(dsn, "api-1"), recovery.boot(dsn, "api-2")
    (lost,), (kept,) = jobs(hung.epoch), jobs(other.epoch)
    done = recovery.evict(dsn, "api-1")
    assert (done.epochs, done.report.closed) == ((hung.epoch,), {"public.job": 1})
    assert states() == {lost: ("failed", "evicted"), kept: ("running", None)}
    with pytest.raises(recovery.EpochUnknown):
        recovery.evict(dsn, hung.epoch)
    assert recovery.evict(dsn, other.epoch).epochs == (other.epoch,)


async def test_the_async_twins(dsn: str, url: sa.URL, jobs: Jobs, states: States) -> None:
    server = await recovery.aboot(dsn, "api-1")
    first, second, third = jobs(server.epoch, 3)
    assert await server.aopen_rows() == server.open_rows() == 3
    assert len(await recovery.aclose(dsn, str(first))) == 1  # in a thread
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        assert len(await recovery.aclose(conn, str(second))) == 1
        assert {row.key for row in await recovery.apreview(conn, boot="api-1")} == {str(third)}
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        assert len(await recovery.aclose(connection, str(third), dry_run=True)) == 1
    await engine.dispose()
    assert await server.aopen_rows() == 1
    done = await recovery.aevict(dsn, "api-1")
    assert done.epochs == (server.epoch,)
    assert {state for state, _ in states().values()} == {"failed"}
