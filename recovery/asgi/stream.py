"""One request: who it is, what it asks for, what it has missed, and then what comes."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from recovery import calls
from recovery.asgi import wire
from recovery.asgi.access import Allowed, Authorize
from recovery.asgi.cursor import Cursor, Track
from recovery.asgi.feed import Client, Feed, Item
from recovery.asgi.life import Life, Shared
from recovery.asgi.shapes import Shape
from recovery.errors import InvalidArgument, RecoveryError
from recovery.events.position import Position
from recovery.types import Event

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
#: Pages of what a feed that is behind will bring once more; what is beyond comes twice.
_NOTED = 20
#: How many ids a replay goes back whose place was lost: as far as a listener remembers.
_BACK = 10_000 * calls.event.RECORD


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
        calls.event.check_kinds(self._fixed.get("kind", ()))
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
        calls.event.check_kinds(given.get("kind", ()))
        for name, values in given.items():
            if name in filters and (others := values - filters[name]):
                shown = ", ".join(sorted(str(other) for other in others))
                raise InvalidArgument(f"{shown}: this stream shows no such {name}")
            filters[name] = frozenset(values)
        # Once it was connected, a browser says where it stands, and asks the same address again.
        position = request.headers.get("last-event-id")
        if position:
            return filters, Cursor.parse(position)
        return filters, None if after is None else Cursor.parse(after, timeline=None)

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


@dataclasses.dataclass(frozen=True)
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
        self._until: float | None = None
        if shared.lifetime is not None:  # not all at once, when all have come at once
            self._until = self._loop.time() + shared.lifetime * random.uniform(0.9, 1.0)
        self._cursor = ""  # what was sent, at least
        self._had: frozenset[int] = frozenset()  # what the client says it has already
        #: What the client has, by a replay or from before, and the feed may bring once more.
        self._sent: dict[int, datetime] = {}

    async def run(self) -> None:
        headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            why = await self._talk()
            await self._control("stream.end", {"reason": why, "after": self._cursor})
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
                self._cursor = feed.cursor
                await self._control("server.connected", {})
            else:
                self._cursor = str(self._wish.cursor)
                await self._control("server.connected", {})
                if not await self._replay(feed, self._wish.cursor):
                    return "shutdown"
            return await self._follow(feed)
        finally:
            feed.remove(self._client)

    async def _follow(self, feed: Feed) -> str:
        """Sends what comes; returns why it ends."""
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
                # All that the feed has handed out was sent; a replay may have come further.
                cursor = feed.cursor
                self._forget(feed)
                if not self._sent:
                    self._cursor = cursor
                await self._control("server.heartbeat", {})

    def _next(self) -> float:
        """When to say something, if nothing comes."""
        beat = self._loop.time() + self._shared.heartbeat
        return beat if self._until is None else min(beat, self._until)

    async def _replay(self, feed: Feed, cursor: Cursor) -> bool:
        """What the client has missed; then it is among those that the feed serves.

        Twice: first page by page for as long as that takes, and once more when the feed has
        begun to keep what comes. So nothing is between the two; what is in both is sent once.

        Returns:
            False: the hub ends meanwhile.
        """
        while True:
            timeline = self._life.timeline
            start = await self._start(cursor)
            self._had = frozenset(cursor.above) if start == cursor.safe else frozenset()
            track, position = Track(start, timeline), Position(start)
            await self._note(feed.safe, start)
            if not await self._read_on(position, track, feed):
                return False
            feed.add(self._client)
            if self._life.timeline == timeline:
                return await self._read_on(position, track)
            # The listener has failed over meanwhile. What it told anew before this client was
            # there may stand below the place that the replay has come to.
            cursor = track.cursor

    async def _note(self, safe: int, start: int) -> None:
        """What a feed that has come to `safe` will bring once more, to who goes on at `start`."""
        for _ in range(_NOTED):
            if safe >= start:
                break
            look = calls.event.page(safe, "{}", limit=_PAGE, **self._filters())
            page = await self._life.replay(look)
            self._sent.update((event.id, event.at) for event in page.events if event.id <= start)
            if not page.full:
                break
            safe = page.newest

    async def _read_on(self, position: Position, track: Track, feed: Feed | None = None) -> bool:
        """Sends all that there is after a place; what the `feed` has passed it brings no more.

        Returns:
            False: the hub ends meanwhile.
        """
        more = True
        while more:
            if self._life.ending.is_set():
                return False
            look = calls.event.page(position.newest, position.gaps, limit=_PAGE, **self._filters())
            page = await self._life.replay(look)
            position.newest, position.gaps, more = page.newest, page.gaps, page.full
            await self._resend(page.events, position.safe_id, track)
            if feed is not None:
                self._forget(feed)
        return True

    async def _start(self, cursor: Cursor) -> int:
        """Where a replay begins: there, unless that place is no more; the client is told then."""
        floor = await self._life.replay(calls.event.floor())
        newest = self._life.safe_id
        if cursor.safe > newest:  # or the own listener has not come so far
            newest = (await self._life.replay(calls.event.tail())).newest
        if cursor.safe > newest or cursor.timeline not in (None, self._life.timeline):
            # Its last events were lost in a failover, and their ids are given out anew.
            why, start = "lost", max(floor, min(cursor.safe, newest) - _BACK)
        elif 0 < cursor.safe < floor:
            why, start = "dropped", floor
        else:
            return cursor.safe
        self._cursor = str(Cursor(start, (), self._life.timeline))
        await self._control("server.gap", {"why": why, "after": cursor.safe, "to": start})
        return start

    async def _resend(self, events: Sequence[Event], safe: int, track: Track) -> None:
        """Sends old events; nothing at or below `safe` is still to come after them."""
        wants = self._client.wants
        new = [event for event in events if event.id not in self._had and wants(event)]
        shown = await self._shape.render(new, self._life.look_up)
        items: list[Item] = []
        for event in events:
            track.deliver(event.id)
            if event.id <= safe:
                track.settle(event.id)
            cursor, data = str(track.cursor), shown.get(event.id)
            frame = None if data is None else wire.frame(data, id_=cursor)
            items.append((event, cursor, frame))
        await self._tell(items)
        self._sent.update((event.id, event.at) for event in events)
        track.settle(safe)
        self._cursor = str(track.cursor)

    def _filters(self) -> dict[str, list[str | None]]:
        """For the database, which lets through a little more than is wanted."""
        filters = {name: list(values) for name, values in self._wish.filters.items()}
        if self._shape.watches is not None:
            filters.setdefault("watch", list(self._shape.watches))
        if "kind" in filters:
            filters["kind"].append("gap")  # it has neither a topic nor a reason of its own
        return {name: filters[name] for name in ("watch", "group", "kind") if name in filters}

    def _forget(self, feed: Feed) -> None:
        """What the feed has passed, it does not bring once more."""
        for id_ in [id_ for id_ in self._sent if id_ <= feed.safe]:
            del self._sent[id_]

    async def _tell(self, items: Iterable[Item]) -> None:
        """Sends frames, those that the client may see, many at once."""
        chunk: list[bytes] = []
        size = 0
        for event, cursor, frame in items:
            if self._sent.get(event.id) == event.at:
                continue  # the client has it, and its place is behind
            if frame is not None and await self._wish.allowed.allows(event):
                chunk.append(frame)
                size += len(frame)
            self._cursor = cursor  # what is not for this client moves it on, too
            if size >= _CHUNK:
                await self._write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            await self._write(b"".join(chunk))

    async def _control(self, type_: str, properties: Mapping[str, object]) -> None:
        await self._write(self._shape.control(type_, properties, self._cursor or None))

    async def _write(self, body: bytes, last: bool = False) -> None:
        try:
            async with asyncio.timeout(self._shared.patience):
                await self._send(
                    {"type": "http.response.body", "body": body, "more_body": not last}
                )
        except (TimeoutError, OSError):
            raise _Gone from None


def _refuse(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status, headers)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
