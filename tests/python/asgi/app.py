"""An application for tests that kill its process: uvicorn --app-dir tests/python/asgi app:app."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from recovery.asgi import Hub, anyone

hub = Hub(heartbeat=0.5, lifetime=float(os.environ.get("STREAM_LIFETIME", "3600")))

#: Keeps what its EventSource gets, for the test to ask for.
PAGE = """<!doctype html><title>stream</title><script>
  window.got = []
  window.opened = 0
  const source = new EventSource('/event' + location.search)
  source.onopen = () => window.opened++
  source.onmessage = message => got.push({ id: message.lastEventId, data: JSON.parse(message.data) })
</script>"""


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with hub:
        yield


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", page),
        Route("/event", hub.agent_events(authorize=anyone)),
        Route("/rows", hub.events(authorize=anyone)),
    ],
)
