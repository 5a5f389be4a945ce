"""One listener for all clients of a process, and what they share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from recovery.asgi.access import Authorize
from recovery.asgi.life import Shared
from recovery.asgi.shapes import AGENT, PLAIN
from recovery.asgi.stream import Stream
from recovery.database.connect import Target

__all__ = ["Hub"]


class Hub:
    """The events of a database for the clients of this process, over SSE.

    `events` and `agent_events` are ASGI applications: give them to ``app.add_route`` or
    ``app.mount``. It starts with the first client and needs no more; with ``async with hub:``
    in the application's lifespan it also ends in good order. It uses at most three connections:
    one listens, one looks up rows, one replays.

    Args:
        target: the database, in any form that `recovery.Target` lists. Its login is a member
            of ``recovery_listener``.
        poll: seconds between reads when nothing wakes the listener.
        heartbeat: seconds after which a client that got nothing gets a heartbeat.
        clients: how many at once; more get status 503.
        maxsize: how many events may wait for one client. More, or more than `max_bytes`: it
            gets these, and then ``stream.end``, which says where to go on.
        max_bytes: how many bytes of events may wait for one client.
        patience: seconds to wait for a client that takes nothing at all; then it is dropped.
        lifetime: seconds after which a stream ends, so that a client that goes on is
            authorised anew; None for never.

    Raises:
        InvalidArgument: a number is not greater than 0 (RC010).
    """

    def __init__(
        self,
        target: Target = None,
        *,
        poll: float = 1.0,
        heartbeat: float = 10.0,
        clients: int = 1000,
        maxsize: int = 1000,
        max_bytes: int = 8_000_000,
        patience: float = 60.0,
        lifetime: float | None = 3600.0,
    ) -> None:
        self._shared = Shared(
            target,
            poll=poll,
            heartbeat=heartbeat,
            clients=clients,
            maxsize=maxsize,
            max_bytes=max_bytes,
            patience=patience,
            lifetime=lifetime,
        )

    @property
    def connected(self) -> int:
        """How many clients there are at the moment."""
        return self._shared.connected

    def events(
        self,
        *,
        authorize: Authorize,
        watch: str | Iterable[str] | None = None,
        group: str | Iterable[str] | None = None,
        kind: str | Iterable[str] | None = None,
        topic: str | Iterable[str] | None = None,
        reason: str | Iterable[str | None] | None = None,
        parameters: Iterable[str] = (),
    ) -> Stream:
        """Events as they are: each is `recovery.Event` as JSON.

        A client may filter by parameters of the same names, each as often as it likes:
        ``?watch=public.job&kind=closed&kind=requeued``; an empty ``reason=`` is a write of the
        application that gave none.

        Args:
            authorize: takes starlette's Request and says what the client may see: True for
                everything, False for nothing (403), groups, or a function of a group
                (plain or async; asked again after 30 s). Or it raises starlette's
                HTTPException, or returns a response. `anyone` lets everybody in.
            watch, group, kind, topic, reason: all that this application shows at all.
            parameters: names of the host's own parameters, such as a token.
        """
        fixed = {"watch": watch, "group": group, "kind": kind, "topic": topic, "reason": reason}
        return Stream(self._shared, PLAIN, authorize, fixed, parameters)

    def agent_events(
        self,
        *,
        authorize: Authorize,
        session: str | Iterable[str] | None = None,
        parameters: Iterable[str] = (),
    ) -> Stream:
        """The agent store in opencode's shape: ``data: {"id", "type", "properties"}``.

        ``message.updated`` and ``message.part.updated`` bring the whole message or part as it
        is when it is sent. A client may ask for sessions: ``?session=ses_1&session=ses_2``.

        Args:
            authorize, parameters: as of `events`; the groups are sessions.
            session: all that this application shows at all.
        """
        return Stream(self._shared, AGENT, authorize, {"session": session}, parameters)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all streams (``stream.end``) and the connections; a new client starts it again."""
        await self._shared.close()
