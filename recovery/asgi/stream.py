"""One request: who it is, what it asks for, what it has missed, and then what comes."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from recovery import calls
from recovery.asgi import wire
from recovery.asgi.access import Allowed, Authorize
from recovery.asgi.cursor import Cursor
from recovery.asgi.feed import Client, Feed, Item
from recovery.asgi.life import Life, Shared
from recovery.asgi.shapes import Shape
from recovery.errors import InvalidArgument, RecoveryError

__all__ = ["Stream"]

_log = logging.getLogger(__name__)

_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",  # nginx would keep it to itself
}
#: Bytes that are handed to the server at once.
_CHUNK = 65_536
#: Events that are read at once in a replay.
_PAGE = 500
#: Seconds that a client may take to hear why a stream ends that has to end now.
_FAREWELL = 1.0


class Stream:
    """An ASGI application; made by `Hub.events` and `Hub.agent_events`.

    Raises:
        InvalidArgument: a filter or parameter can't be that (RC010).
    """

    def __init__(
        self,
        shared: Shared,
        shape: Shape,
        authorize: Authorize,
        fixed: Mapping[str, str | Iterable[str | None] | None],
        parameters: Iterable[str],
    ) -> None:
        if not callable(authorize):
            raise InvalidArgument("authorize must be a function of a request; see anyone")
        self._shared, self._shape, self._authorize = shared, shape, authorize
        self._fixed = {
            shape.filters[name]: frozenset((value,) if isinstance(value, str) else value)
            for name, value in fixed.items()
            if value is not None
        }
        self._own = frozenset([parameters] if isinstance(parameters, str) else parameters)
        if taken := self._own & {*shape.filters, "after"}:
            raise InvalidArgument(f"{', '.join(sorted(taken))}: that parameter is ours")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            try:
                answer = await self._answer(Request(scope, receive))
            except HTTPException as error:
                if "app" in scope:  # of the host, who may have its own way to show it
                    raise
                answer = _refuse(error.status_code, error.detail, dict(error.headers or {}))
            if isinstance(answer, Response):
                await answer(scope, receive, send)
            else:
                await self._converse(answer, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """If it is all there is: ``uvicorn module:stream``."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._shared.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, request: Request) -> Response | _Wish:
        """What is to be streamed, or why nothing is."""
        if request.method != "GET":
            return _refuse(405, "only GET", {"allow": "GET"})
        access = self._authorize(request)
        if inspect.isawaitable(access):
            access = await access
        if isinstance(access, Response):
            return access
        allowed = Allowed(access)
        if access is False or access is None:
            return _refuse(403, "not allowed")
        try:
            filters, cursor = self._asked(request)
        except InvalidArgument as error:
            return _refuse(400, str(error))
        for group in filters.get("group", ()):
            if not await allowed.allows_group(group):
                return _refuse(403, f"not allowed: {group}")
        if allowed.groups is not None and "group" not in filters:
            filters["group"] = allowed.groups
        if self._shared.connected >= self._shared.clients:
            return _refuse(503, "too many clients", {"retry-after": "5"})
        try:
            life = await self._shared.life()
        except RecoveryError as error:
            _log.error("no events for clients: %s", error)
            return _refuse(500, "the events can't be read")
        return _Wish(life, filters, cursor, allowed)

    def _asked(self, request: Request) -> tuple[dict[str, frozenset[str | None]], Cursor | None]:
        """Filters and position of a request.

        Raises:
            InvalidArgument: they can't be that (RC010).
        """
        known = [*self._shape.filters, "after"]
        given: dict[str, set[str | None]] = {}
        after: str | None = None
        for name, value in request.query_params.multi_items():
            if name in self._own:
                continue
            if name not in known:
                raise InvalidArgument(f"unknown parameter {name!r}; known: {', '.join(known)}")
            calls.text(value, name)
            if name == "after":
                after = value
            elif value == "" and name != "reason":
                raise InvalidArgument(f"parameter {name!r} is empty")
            else:
                given.setdefault(self._shape.filters[name], set()).add(value or None)
        filters: dict[str, frozenset[str | None]] = dict(self._fixed)
        for name, values in given.items():
            if name in filters and (others := values - filters[name]):
                shown = ", ".join(sorted(str(other) for other in others))
                raise InvalidArgument(f"{shown}: this stream shows no such {name}")
            filters[name] = frozenset(values)
        # Once it was connected, a browser says where it stands, and asks the same address again.
        position = request.headers.get("last-event-id") or after
        return filters, None if position is None else Cursor.parse(position)

    async def _converse(self, wish: _Wish, receive: Receive, send: Send) -> None:
        """Streams until the client is gone, or there is a reason to end."""
        talk = _Talk(self._shared, self._shape, wish, send)
        self._shared.connected += 1
        running = asyncio.ensure_future(talk.run())
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({running, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._shared.connected -= 1
            ended = [each for each in (running, gone) if not each.done()]
            for each in ended:
                each.cancel()
            if ended:
                await asyncio.wait(ended)
        if running.done() and not running.cancelled():
            running.result()


@dataclass(frozen=True)
class _Wish:
    life: Life
    filters: dict[str, frozenset[str | None]]
    cursor: Cursor | None
    allowed: Allowed


class _Gone(Exception):
    """The client takes nothing any more."""


class _Talk:
    """What is said to one client."""

    def __init__(self, shared: Shared, shape: Shape, wish: _Wish, send: Send) -> None:
        self._shared, self._shape, self._wish, self._send = shared, shape, wish, send
        self._life = wish.life
        self._loop = asyncio.get_running_loop()
        self._client = Client(wish.filters, shared.maxsize, shared.max_bytes)
        lifetime = shared.lifetime
        self._until = None if lifetime is None else self._loop.time() + lifetime
        #: What a replay has sent and the feed may bring once more, by id.
        self._sent: dict[int, datetime] = {}

    async def run(self) -> None:
        headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            why = await self._talk()
            end = {"reason": why, "after": self._client.cursor}
            await self._write(self._shape.control("stream.end", end, self._client.cursor or None))
            await self._write(b"", last=True)
        except _Gone:
            _log.info("a client takes nothing any more and is dropped")

    async def _talk(self) -> str:
        """Sends everything; returns why it ends."""
        # Not all at once, when a server has been started anew.
        await self._write(wire.retry(random.randint(500, 2000)))
        try:
            while not await self._life.started(min(self._shared.heartbeat, 5.0)):
                if self._life.ending.is_set():
                    return "shutdown"
                await self._write(wire.comment("the database can't be reached"))
            feed = self._life.feed(self._shape)
        except RecoveryError as error:
            _log.error("no events for clients: %s", error)
            return "error"
        try:
            if self._wish.cursor is None:
                feed.add(self._client)
                await self._greet()
            else:
                self._client.cursor = str(self._wish.cursor)
                await self._greet()
                await self._replay(feed, self._wish.cursor)
            return await self._follow(feed)
        finally:
            feed.remove(self._client)

    async def _greet(self) -> None:
        cursor = self._client.cursor
        await self._write(self._shape.control("server.connected", {}, cursor))

    async def _follow(self, feed: Feed) -> str:
        client = self._client
        while True:
            try:
                async with asyncio.timeout_at(self._next()):
                    await client.changed.wait()
            except TimeoutError:
                pass
            behind = client.behind  # before the next line: then that is all
            items = client.take()
            if items:
                await self._tell(items)
            if behind:
                if self._life.ending.is_set():
                    return "shutdown"
                return "error" if feed.ended else "slow"
            if self._until is not None and self._loop.time() >= self._until:
                return "lifetime"
            if not items:
                # Nothing waits: all that the feed has handed out was sent.
                client.cursor = feed.cursor
                if self._sent and max(self._sent) <= feed.safe:
                    self._sent.clear()
                await self._write(self._shape.control("server.heartbeat", {}, client.cursor))

    def _next(self) -> float:
        """When to say something, if nothing comes."""
        beat = self._loop.time() + self._shared.heartbeat
        return beat if self._until is None else min(beat, self._until)

    async def _tell(self, items: Iterable[Item]) -> None:
        """Sends frames, those that the client may see, many at once."""
        chunk: list[bytes] = []
        size = 0
        for event, _, frame in items:
            if frame is None or self._sent.get(event.id) == event.at:
                continue
            if not await self._wish.allowed.allows(event):
                continue
            chunk.append(frame)
            size += len(frame)
            if size >= _CHUNK:
                await self._write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            await self._write(b"".join(chunk))

    async def _write(self, body: bytes, last: bool = False) -> None:
        try:
            async with asyncio.timeout(self._shared.patience):
                await self._send(
                    {"type": "http.response.body", "body": body, "more_body": not last}
                )
        except (TimeoutError, OSError):
            raise _Gone from None

    async def _replay(self, feed: Feed, cursor: Cursor) -> None:
        """What the client has missed, then it is among those that the feed serves.

        First what is settled, page by page, for as long as that takes. The rest, which is
        little, once the client gets what comes: so nothing is between the two, and what is
        in both is sent once.
        """
        raise NotImplementedError


def _refuse(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status, headers)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
