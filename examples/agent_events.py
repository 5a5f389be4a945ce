"""A page that shows what agents do, live, and what becomes of it when their server is killed.

    recovery migrate upgrade                         # once, as a DBA
    uvicorn --app-dir examples agent_events:app --timeout-graceful-shutdown 3

Open http://127.0.0.1:8000/?user=ada, start some runs, kill -9 the server, and start it again: the
page connects again by itself, hears what it has missed, and no spinner goes on turning.

The page's EventSource is served by `recovery.asgi`. Who may see which session is said by `authorize`:
here a session belongs to a project, and a user to one, too. The database is RECOVERY_DSN; the login
is a member of recovery_server.
"""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import recovery
from recovery.asgi import Hub

engine = create_async_engine(
    os.environ.get("RECOVERY_DSN", "postgresql://").replace(
        "postgresql://", "postgresql+psycopg://", 1
    )
)
hub = Hub(engine)
runs: set[asyncio.Task[None]] = set()

#: Who there is, and their project. A real application has a login; the cookie here is a name.
USERS = {"ada": "engines", "grace": "compilers"}


def project_of(request: Request) -> str:
    user = request.cookies.get("user", "")
    if user not in USERS:
        raise HTTPException(401, "open /?user=ada first")
    return USERS[user]


async def authorize(request: Request) -> Callable[[str | None], Awaitable[bool]]:
    """What this user may see: a function that is asked about each session once, and again later."""
    project = project_of(request)

    async def allowed(session: str | None) -> bool:
        async with engine.connect() as db:
            found = await db.execute(
                sa.text("select project_id from agent.session where id = :id"), {"id": session}
            )
        return found.scalar() == project

    return allowed


async def page(request: Request) -> Response:
    answer = HTMLResponse((Path(__file__).parent / "agent_events.html").read_text())
    if (user := request.query_params.get("user")) is not None:
        answer.set_cookie("user", user, httponly=True, samesite="strict")
    return answer


async def sessions(request: Request) -> Response:
    """What there is now. The page asks once it is connected, so nothing is between the two."""
    async with engine.connect() as db:
        found = await db.execute(
            sa.text(
                "select s.id, s.title, (select json_agg(m.data || jsonb_build_object('id', m.id))"
                " from agent.message as m where m.session_id = s.id) as messages,"
                " (select json_agg(p.data || jsonb_build_object('id', p.id))"
                " from agent.part as p where p.session_id = s.id) as parts"
                " from agent.session as s where s.project_id = :project order by s.time_created"
            ),
            {"project": project_of(request)},
        )
    return JSONResponse([dict(row) for row in found.mappings()])


async def start(request: Request) -> Response:
    """A run of an agent with one tool; how long it takes is said by ``?seconds=``."""
    seconds = float(request.query_params.get("seconds", "5"))
    now, id_ = int(time.time() * 1000), uuid.uuid4().hex[:8]
    values = {"id": id_, "now": now, "project": project_of(request), "title": f"run {id_}"}
    async with engine.begin() as db:
        await db.execute(
            sa.text(
                "insert into agent.session (id, project_id, title, time_created, time_updated)"
                " values ('ses_' || :id, :project, :title, :now, :now)"
            ),
            values,
        )
        await db.execute(
            sa.text(
                "insert into agent.message (id, session_id, time_created, time_updated, data)"
                " values ('msg_' || :id, 'ses_' || :id, :now, :now, jsonb_build_object("
                " 'role', 'assistant', 'time', jsonb_build_object('created', cast(:now as bigint))))"
            ),
            values,
        )
        await db.execute(
            sa.text(
                "insert into agent.part (id, message_id, session_id, time_created, time_updated, data)"
                " values ('prt_' || :id, 'msg_' || :id, 'ses_' || :id, :now, :now, jsonb_build_object("
                " 'type', 'tool', 'tool', 'bash', 'state', jsonb_build_object('status', 'running',"
                " 'input', '{}'::jsonb, 'time', jsonb_build_object('start', cast(:now as bigint)))))"
            ),
            values,
        )
    task = asyncio.create_task(finish(id_, seconds))
    runs.add(task)
    task.add_done_callback(runs.discard)
    return JSONResponse({"session": f"ses_{id_}"})


async def finish(id_: str, seconds: float) -> None:
    await asyncio.sleep(seconds)
    async with engine.begin() as db:
        await db.execute(
            sa.text(
                "update agent.part set data = jsonb_set(data, '{state,status}', '\"completed\"')"
                " where id = 'prt_' || :id"
            ),
            {"id": id_},
        )
        await db.execute(
            sa.text(
                "update agent.message set data = jsonb_set(data, '{time,completed}',"
                " to_jsonb((extract(epoch from clock_timestamp()) * 1000)::bigint))"
                " where id = 'msg_' || :id"
            ),
            {"id": id_},
        )


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with recovery.lifespan(engine, name="agents", listen=False)(app), hub:
        yield
    await engine.dispose()


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", page),
        Route("/sessions", sessions),
        Route("/runs", start, methods=["POST"]),
        Route("/event", hub.agent_events(authorize=authorize)),
    ],
)
