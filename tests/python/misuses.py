"""Read by mypy alone (test_signatures.py): every line that is marked is wrong, no other is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import recovery
from recovery import opencode, schema

CLOSE = {"status": "'failed'"}


def watching(conn: psycopg.Connection[Any], other: sa.Connection) -> None:
    recovery.attach(conn, "public.job", open="true", close=CLOSE, group="r.session_id")
    recovery.attach(other, "job", open="true", close=CLOSE, unowned=timedelta(hours=1))
    recovery.attach(conn, "job", open="true", close=CLOSE, gruop="r.id")  # wrong: [call-arg]
    recovery.attach(conn, "job", open="true")  # wrong: [call-arg]
    recovery.attach(conn, "job", open="true", close=["status"])  # wrong: [arg-type]
    recovery.attach(conn, "job", open="true", close=CLOSE, events="none")  # wrong: [arg-type]
    recovery.attach(conn, "job", open="true", close=CLOSE, max_attempts="3")  # wrong: [arg-type]
    recovery.attach(conn, "job", open="true", close=CLOSE, unowned=3600)  # wrong: [arg-type]
    recovery.attach("postgresql://", "job", open="true", close=CLOSE)  # wrong: [arg-type]
    recovery.detach(conn, "public.job")
    recovery.detach(conn, tabel="public.job")  # wrong: [call-arg]
    recovery.permit(conn, 5)  # wrong: [arg-type]
    recovery.supervise(conn, "public.job", kind="r.tool", cancel="group")
    recovery.supervise(conn, "public.job", cancel="session")  # wrong: [arg-type]
    recovery.supervise(conn, "public.job", timout="r.max")  # wrong: [call-arg]


async def watching_async(conn: psycopg.AsyncConnection[Any], other: AsyncConnection) -> None:
    await recovery.aattach(conn, "public.job", open="true", close=CLOSE, order="r.id")
    await recovery.aattach(conn, "job", open="true", close=CLOSE, oder="r.id")  # wrong: [call-arg]
    await recovery.asupervise(other, "job", cancel="session")  # wrong: [arg-type]
    await recovery.adetach("postgresql://", "public.job")  # wrong: [arg-type]
    name: str = recovery.aattach(conn, "job", open="true", close=CLOSE)  # wrong: [assignment]
    print(name)


def serving(engine: sa.Engine, async_engine: AsyncEngine) -> None:
    recovery.boot(engine, "api-1", lease=timedelta(seconds=9), policy="wait")
    recovery.boot(engine, "api-1", policy="kill")  # wrong: [arg-type]
    recovery.boot(engine, "api-1", leese=9)  # wrong: [call-arg]
    recovery.boot(5, "api-1")  # wrong: [arg-type]
    recovery.boot(engine, "api-1", settings={"tool_timeout": 600})  # wrong: [dict-item]
    recovery.serve(async_engine, "api-1", sweep=None, heir=lambda: 5, exit_on_fenced=70)
    recovery.serve(engine, "api-1", heartbeet=1)  # wrong: [call-arg]
    recovery.serve(engine, "api-1", lease="15 s")  # wrong: [arg-type]
    recovery.serve(engine, "api-1", bind="connection")  # wrong: [arg-type]
    recovery.serve(engine, "api-1", heir="api-2")  # wrong: [arg-type]
    recovery.lifespan(engine, name="api-1", grace=1.5)
    recovery.lifespan(engine, name="api-1", grase=1.5)  # wrong: [call-arg]
    recovery.lifespan(engine, name="api-1", signals="SIGTERM")  # wrong: [arg-type]
    recovery.lifespan(engine)  # wrong: [call-arg]


def living(server: recovery.Server, engine: sa.Engine) -> None:
    server.bind(engine, "transaction")
    server.bind(engine, "statement")  # wrong: [arg-type]
    server.sweep(budget=1)
    server.sweep(buget=1)  # wrong: [call-arg]
    server.drain("10 min")  # wrong: [arg-type]
    with server.fuse("public.job", 5, 4711, ttl=30) as fuse:
        fuse.burning = False
    server.fuse("public.job", 5, 4711, tll=30)  # wrong: [call-arg]
    server.fuse("public.job", 5, "4711")  # wrong: [arg-type]
    server.process("public.job", 5, 4711, scope="session")  # wrong: [arg-type]
    server.touch("public.job", 5, "rows")  # wrong: [arg-type]
    server.shutdown(heir="api-2")  # wrong: [arg-type]
    server.assert_live(engine)  # wrong: [arg-type]
    print(server.extender)  # wrong: [attr-defined]


async def living_async(server: recovery.Server) -> None:
    left: int = await server.aopen_rows()
    rows: int = server.aopen_rows()  # wrong: [assignment]
    await server.ashutdown(timeout=5)
    await server.ashutdown(timout=5)  # wrong: [call-arg]
    print(left, rows)


def listening() -> None:
    with recovery.listen("postgresql://", after=5) as bus:
        bus.subscribe(kind=["closed", "requeued"], reason=None)
        bus.subscribe(kinds="closed")  # wrong: [call-arg]
        bus.on(print, watch="public.job", maxsize=10)
        bus.on(print, wach="public.job")  # wrong: [call-arg]
        bus.on(print, maxsize="10")  # wrong: [arg-type]
    recovery.listen("postgresql://", pol=5)  # wrong: [call-arg]
    recovery.listen("postgresql://", after="5")  # wrong: [arg-type]


def operating(conn: psycopg.Connection[Any], engine: sa.Engine) -> None:
    for row in recovery.close(conn, "5", watch="public.job", scope="row", dry_run=True):
        print(row.key, row.epoch)
        print(row.keys)  # wrong: [attr-defined]
    recovery.close(conn, "5", dry=True)  # wrong: [call-arg]
    recovery.close(conn, "5", scope="session")  # wrong: [arg-type]
    recovery.close(conn, 5)  # wrong: [arg-type]
    print([row.action for row in recovery.preview(engine, boot="api-1")])
    recovery.preview(engine, bot="api-1")  # wrong: [call-arg]
    print(recovery.evict(engine, "api-1", terminate_backends=True).report.closed)
    recovery.evict(engine, "api-1", terminate=True)  # wrong: [call-arg]
    recovery.configure(engine, "tool_timeout", "10 min", kind="bash")
    recovery.configure(engine, "tool_timeout", 600)  # wrong: [arg-type]
    recovery.configure(engine, "tool_timeout", "10 min", kinds="bash")  # wrong: [call-arg]
    recovery.setting(engine, "tool_timeout", grop="s1")  # wrong: [call-arg]


async def operating_async(conn: AsyncConnection) -> None:
    await recovery.aclose(conn, "5", reson="hangs")  # wrong: [call-arg]
    await recovery.apreview(conn, boot=5)  # wrong: [arg-type]
    await recovery.aevict(conn, "api-1")  # wrong: [arg-type]
    await recovery.aconfigure(conn, "idle_roots", True, scope="row")  # wrong: [call-arg]


def migrating(engine: sa.Engine, conn: psycopg.Connection[Any]) -> None:
    schema.upgrade(engine, "recovery@head")
    schema.upgrade(engine, revison="heads")  # wrong: [call-arg]
    schema.downgrade(engine, 1)  # wrong: [arg-type]
    opencode.import_store(conn, "opencode.db", owner="agents")
    opencode.import_store(conn, "opencode.db", owener="agents")  # wrong: [call-arg]
    opencode.load_store(conn, "opencode.db")  # wrong: [arg-type]
