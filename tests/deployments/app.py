"""The application of docs/how-to/processes.md, for servers of other people: uvicorn, gunicorn.

``asgi`` and ``wsgi`` answer to ``/work?ms=N``: open a row, work, finish it, say whether it was
still ours; and to ``/hold``: open a row and hang. With ``patience=N`` (seconds) the finishing is
tried again while the database is away, as an application does whose work is worth something.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import journal
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import recovery

DSN = sa.make_url(os.environ["APP_DSN"]).set(drivername="postgresql+psycopg")
OPTIONS: dict[str, Any] = {"name": "web", **json.loads(os.environ.get("APP_OPTIONS", "{}"))}
ENGINE: dict[str, Any] = {"pool_pre_ping": True} if journal.FOLDER else {}

OPEN = sa.text("insert into app.job default values returning id, server_epoch")
FINISH = sa.text(
    "update app.job set status = 'done' where id = :id and status = 'running' returning id"
)


def answer(id_: int, epoch: int | None, finished: bool) -> dict[str, Any]:
    return {"id": id_, "epoch": epoch, "pid": os.getpid(), "finished": finished}


class Finishing:
    """The end of one unit of work: how often it is tried, and what is said of it."""

    def __init__(self, id_: int, query: Any) -> None:
        self.id = id_
        self._until = time.monotonic() + float(query.get("patience", "0"))
        journal.say("finishing", id=id_)

    def done(self, finished: bool) -> bool:
        journal.say("finished" if finished else "gone", id=self.id)
        return finished

    def again(self, error: Exception) -> bool:
        """Whether it is worth another try: no answer may come again, a refusal stays."""
        known = getattr(error, "orig", None) or error
        code = str(getattr(known, "sqlstate", None) or type(error).__name__)
        journal.say("refused", id=self.id, code=code)
        lasting = code.startswith("RC") or isinstance(error, recovery.EpochEnded)
        return not lasting and time.monotonic() < self._until


TROUBLE = (sa.exc.SQLAlchemyError, recovery.RecoveryError)


async def work(request: Request) -> JSONResponse:
    engine = request.app.state.engine
    async with engine.begin() as conn:
        id_, epoch = (await conn.execute(OPEN)).one()
    journal.say("opened", id=id_, epoch=epoch)
    await asyncio.sleep(int(request.query_params.get("ms", "20")) / 1000)
    end = Finishing(id_, request.query_params)
    while True:
        try:
            async with engine.begin() as conn:
                finished = (await conn.execute(FINISH, {"id": id_})).first() is not None
            break
        except TROUBLE as error:
            if not end.again(error):
                raise
            await asyncio.sleep(0.2)
    end.done(finished)
    return JSONResponse(answer(id_, epoch, finished), 200 if finished else 500)


async def hold(request: Request) -> JSONResponse:
    async with request.app.state.engine.begin() as conn:
        id_, epoch = (await conn.execute(OPEN)).one()
    journal.say("opened", id=id_, epoch=epoch)
    return JSONResponse(answer(id_, epoch, False))


def make_asgi() -> Starlette:
    engine = create_async_engine(DSN, **ENGINE)
    served = recovery.lifespan(engine, **OPTIONS)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with served(app):
            journal.begin(app.state.recovery)
            yield
            journal.say("leaving")
        journal.say("left")

    app = Starlette(routes=[Route("/work", work), Route("/hold", hold)], lifespan=lifespan)
    app.state.engine = engine
    return app


asgi = make_asgi()
engine = sa.create_engine(DSN, **ENGINE)


def wsgi(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    with engine.begin() as conn:
        id_, epoch = conn.execute(OPEN).one()
    journal.say("opened", id=id_, epoch=epoch)
    finished = False
    if environ["PATH_INFO"] == "/work":
        time.sleep(int(query.get("ms", "20")) / 1000)
        end = Finishing(id_, query)
        while True:
            try:
                with engine.begin() as conn:
                    finished = conn.execute(FINISH, {"id": id_}).first() is not None
                break
            except TROUBLE as error:
                if not end.again(error):
                    raise
                time.sleep(0.2)
        end.done(finished)
    good = finished or environ["PATH_INFO"] == "/hold"
    start("200 OK" if good else "500 Gone", [("content-type", "application/json")])
    return [json.dumps(answer(id_, epoch, finished)).encode()]
