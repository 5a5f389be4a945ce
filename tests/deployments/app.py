"""The README's application, for servers of other people: uvicorn, gunicorn.

``asgi`` and ``wsgi`` answer to ``/work?ms=N``: open a row, work, finish it, say whether it was
still ours; and to ``/hold``: open a row and hang. ``served`` is ``wsgi`` with the serving done
where the module is imported.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import recovery

DSN = sa.make_url(os.environ["APP_DSN"]).set(drivername="postgresql+psycopg")
OPTIONS: dict[str, Any] = {"name": "web", **json.loads(os.environ.get("APP_OPTIONS", "{}"))}

OPEN = sa.text("insert into app.job default values returning id, server_epoch")
FINISH = sa.text(
    "update app.job set status = 'done' where id = :id and status = 'running' returning id"
)


def answer(id_: int, epoch: int | None, finished: bool) -> dict[str, Any]:
    return {"id": id_, "epoch": epoch, "pid": os.getpid(), "finished": finished}


async def work(request: Request) -> JSONResponse:
    async with request.app.state.engine.begin() as conn:
        id_, epoch = (await conn.execute(OPEN)).one()
    await asyncio.sleep(int(request.query_params.get("ms", "20")) / 1000)
    async with request.app.state.engine.begin() as conn:
        finished = (await conn.execute(FINISH, {"id": id_})).first() is not None
    return JSONResponse(answer(id_, epoch, finished), 200 if finished else 500)


async def hold(request: Request) -> JSONResponse:
    async with request.app.state.engine.begin() as conn:
        id_, epoch = (await conn.execute(OPEN)).one()
    return JSONResponse(answer(id_, epoch, False))


def make_asgi() -> Starlette:
    engine = create_async_engine(DSN)
    app = Starlette(
        routes=[Route("/work", work), Route("/hold", hold)],
        lifespan=recovery.lifespan(engine, **OPTIONS),
    )
    app.state.engine = engine
    return app


asgi = make_asgi()
engine = sa.create_engine(DSN)


def wsgi(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    query = parse_qs(environ["QUERY_STRING"])
    with engine.begin() as conn:
        id_, epoch = conn.execute(OPEN).one()
    finished = False
    if environ["PATH_INFO"] == "/work":
        time.sleep(int(query.get("ms", ["20"])[0]) / 1000)
        with engine.begin() as conn:
            finished = conn.execute(FINISH, {"id": id_}).first() is not None
    good = finished or environ["PATH_INFO"] == "/hold"
    start("200 OK" if good else "500 Gone", [("content-type", "application/json")])
    return [json.dumps(answer(id_, epoch, finished)).encode()]
