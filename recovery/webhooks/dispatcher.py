"""Sends what webhooks have to get; any number of dispatchers, in any process.

Each step is one short transaction, and none is open while something is sent:

1. `collect_deliveries` takes events from the webhook's consumer, copies them and acknowledges
   them. Who dies before it commits has taken nothing, who dies after it has lost nothing.
2. `claim_deliveries` says what may be sent: of each row the oldest unfinished event. Who dies
   now leaves a claim, which ends by itself.
3. `current_states` looks what the rows are at this moment, whatever the event says.
4. It is sent.
5. `record_deliveries` notes what became of it, and lets the next event of the row go.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID, uuid4

import psycopg

from recovery import calls
from recovery.calls.webhook import Delivery, Outcome, Recorded
from recovery.database.connect import Target, check_schema, connect
from recovery.database.link import Link, backoff
from recovery.database.pooler import is_shared, warn
from recovery.database.threads import Block
from recovery.errors import ConnectionFailed, InvalidArgument, RecoveryError
from recovery.webhooks.address import Network, Resolver, network
from recovery.webhooks.message import compose, message_id
from recovery.webhooks.sender import Attempt, Sender
from recovery.webhooks.signature import signed

__all__ = ["Dispatcher", "deliver"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Events that are collected for a webhook at a time.
_PAGE = 1000
#: Pages of one webhook before the others have their turn.
_PAGES = 5
#: Seconds between two times of forgetting what is old.
_PRUNE = 60.0
#: Seconds until the next look after something came: writers NOTIFY at most every 50 ms.
_SOON = 0.025
#: Seconds for an answer of the database.
_PATIENCE = 30.0


class Dispatcher(Block):
    """Sends deliveries in a thread of its own, while its ``with`` or ``async with`` block lasts.

    At the end of the block what is under way is finished; what is not by then is sent again
    by whoever comes next. A database that is away is waited for.

    Args:
        target: the database, in any form that `recovery.Target` lists.
        concurrency: deliveries under way at the same time, of all webhooks.
        poll: seconds between looks when nothing wakes it.
        drain: seconds to wait at the end for what is under way.
        resolver: how names are resolved: takes host and port, gives addresses as text. What
            it gives is judged like any other address.
        verify: what certificates are checked by; by default the usual authorities.
    """

    def __init__(
        self,
        target: Target = None,
        *,
        concurrency: int = 64,
        poll: float = 1.0,
        drain: float = 10.0,
        resolver: Resolver | None = None,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        if concurrency < 1:
            raise InvalidArgument(f"concurrency must be at least 1, not {concurrency}")
        if poll <= 0 or drain < 0:
            raise InvalidArgument("poll must be greater than 0 s, and drain not less")
        self.delivered = 0  #: deliveries that a receiver has taken
        self.failed = 0  #: attempts that failed
        self._target, self._concurrency = target, concurrency
        self._poll, self._drain = poll, drain
        self._sender = Sender(resolver=resolver, verify=verify)
        self._link = Link(target, "webhooks", "")
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._pid = 0
        self._rung = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._outcomes: dict[str, list[Outcome]] = defaultdict(list)
        self._told: dict[str, str] = {}
        self._pruned = float("-inf")
        self._look_in = poll
        self._look_at = float("-inf")

    def start(self) -> None:
        """Begins to send.

        Raises:
            ConnectionFailed: the first connection fails; later ones are repeated.
            SchemaMismatch: the schema is missing, older or newer (RC009).
            PermissionDenied: the role is not a member of recovery_server (42501).
            InvalidArgument: it was started before, or httpx is missing (RC010).
        """
        if self._thread is not None:
            raise InvalidArgument("a dispatcher can be started once")
        conn = connect(self._target, "webhooks")
        try:
            check_schema(conn)
            calls.run(conn, calls.webhook.due())
            self._link.adopt(conn)
        except BaseException:
            conn.close()
            raise
        self._pid = os.getpid()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="recovery-webhooks", daemon=True
        )
        self._thread.start()
        threading.Thread(target=self._hear, name="recovery-webhooks-bell", daemon=True).start()

    def stop(self) -> None:
        """Finishes what is under way, and ends."""
        self._stopped.set()
        if self._thread is None or self._pid != os.getpid():
            return
        self._wake()
        self._thread.join(self._drain + 5.0)
        self._link.sever()  # a database that does not answer
        self._thread.join(5.0)
        self._link.close()

    def _enter(self) -> Dispatcher:
        self.start()
        return self

    def _leave(self) -> None:
        self.stop()

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._changed.set)
            except RuntimeError:
                pass  # it has ended

    def _ring(self) -> None:
        self._rung = True
        self._wake()

    def _hear(self) -> None:
        """Wakes it when something was written; without a direct connection it polls."""
        failures = 0
        while not self._stopped.is_set():
            try:
                with connect(self._target, "webhooks-bell") as conn:
                    if is_shared(conn):
                        warn()
                        return
                    calls.run(conn, calls.event.listen())
                    failures = 0
                    self._ring()  # for what was written before it listened
                    while not self._stopped.is_set():
                        for _ in conn.notifies(timeout=1.0, stop_after=1):
                            self._ring()
                        calls.run(conn, calls.session.backend_pid())  # does it still work?
            except (RecoveryError, psycopg.Error, OSError) as error:
                failures += 1
                _log.debug("webhooks: no wake-ups for now: %s", error)
                self._stopped.wait(backoff(failures))

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        failures = 0
        async with self._sender:
            while not self._stopped.is_set():
                self._changed.clear()
                try:
                    pause = await self._turn()
                    failures = 0
                except Exception as error:
                    failures += 1
                    pause = max(0.1, backoff(failures))
                    if isinstance(error, RecoveryError):
                        _log.warning("webhooks: %s; again in %.1f s", error, pause)
                    else:
                        _log.exception("webhooks: again in %.1f s", pause)
                    await self._sleep(pause)
                    continue
                await self._wait(pause)
            await self._end()

    async def _sleep(self, seconds: float) -> None:
        """Waits, until it is stopped at the latest."""
        end = time.monotonic() + seconds
        while not self._stopped.is_set() and (left := end - time.monotonic()) > 0:
            await self._wait(left)
            self._changed.clear()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _ask(self, call: calls.Call[T]) -> T:
        return await asyncio.to_thread(self._link.run, call, _PATIENCE)

    async def _turn(self) -> float:
        """Does all there is to do now; in how many seconds there may be more."""
        await self._record()
        now = time.monotonic()
        webhooks = await self._ask(calls.webhook.due())
        if self._rung or now >= self._look_at:
            self._look_in = _SOON if self._rung else min(2 * self._look_in, self._poll)
            self._rung = False
            for webhook in webhooks:
                if webhook.fresh:
                    await self._collect(webhook.name)
            self._look_at = time.monotonic() + self._look_in
            webhooks = await self._ask(calls.webhook.due())
        pause = max(0.0, self._look_at - time.monotonic())
        for webhook in webhooks:
            room = min(webhook.free, self._concurrency - len(self._tasks))
            if webhook.seconds is None or room < 1:
                continue  # a delivery that ends wakes us
            if webhook.seconds > 0:
                pause = min(pause, webhook.seconds)
            else:
                await self._claim(webhook.name, room)
        if now - self._pruned >= _PRUNE:
            self._pruned = now
            for _ in range(10):
                if await self._ask(calls.webhook.prune()) < _PAGE:
                    break
        return 0.0 if self._rung else pause

    async def _collect(self, name: str) -> None:
        try:
            for _ in range(_PAGES):
                found = await self._ask(calls.webhook.collect(name, _PAGE))
                if found:
                    self._look_in = _SOON  # writers that come close together ring once
                if found < _PAGE:
                    return
            self._rung = True  # there is more
        except ConnectionFailed:
            raise
        except RecoveryError as error:  # of this webhook: the others go on
            self._complain(name, f"its events can't be read: {error}")

    async def _claim(self, name: str, room: int) -> None:
        claim = uuid4()
        deliveries = await self._ask(calls.webhook.claim(name, claim, room))
        states = await self._states(deliveries)
        for delivery in deliveries:
            task = asyncio.create_task(
                self._deliver(name, claim, delivery, states.get(delivery.event))
            )
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()

    async def _states(self, deliveries: Sequence[Delivery]) -> dict[int, dict[str, str]]:
        """What the rows of deliveries are at this moment."""
        units: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            scope = _scope(delivery)
            if scope is not None:
                units[delivery.watch, scope].append(delivery)
        found: dict[int, dict[str, str]] = {}
        for (watch, scope), some in units.items():
            call = calls.webhook.current(watch, scope, [each.key for each in some])
            try:
                at, states = await self._ask(call)
            except RecoveryError as error:  # they are claimed: better sent without than later
                _log.warning("webhooks: nobody knows what %s is now: %s", watch, error)
                at, states = datetime.now(UTC), ["unknown"] * len(some)
            for delivery, state in zip(some, states, strict=True):
                found[delivery.event] = {"scope": scope, "state": state, "at": at.isoformat()}
        return found

    async def _deliver(
        self, name: str, claim: UUID, delivery: Delivery, current: dict[str, str] | None
    ) -> None:
        target = delivery.target
        try:
            body = compose(delivery.body, current, delivery.attempt, target.max_body)
            headers = signed(target.secrets, message_id(delivery.body), int(time.time()), body)
            attempt = await self._sender.send(
                target.url, headers, body, allow=_networks(target.allow), timeout=target.timeout
            )
        except Exception as error:  # of ours; it must not be tried for ever
            _log.exception("webhook %s: event %s can't be sent", name, delivery.event)
            attempt = Attempt(None, f"{type(error).__name__}: {error}", 0.0)
        if attempt.error is None:
            self.delivered += 1
        else:
            self.failed += 1
        _log.info(
            "%s: %s %s %s (event %s, attempt %s): %s in %.0f ms",
            name,
            delivery.kind,
            delivery.watch,
            delivery.key,
            delivery.event,
            delivery.attempt,
            attempt.error or attempt.status,
            attempt.seconds * 1000,
        )
        self._outcomes[name].append(
            Outcome(
                delivery.event,
                claim,
                attempt.status,
                attempt.error,
                attempt.seconds,
                attempt.retry_after,
            )
        )

    async def _record(self) -> None:
        for name in list(self._outcomes):
            outcomes = list(self._outcomes[name])
            recorded = await self._ask(calls.webhook.record(name, outcomes))
            del self._outcomes[name][: len(outcomes)]
            if not self._outcomes[name]:
                del self._outcomes[name]
            self._tell(name, outcomes, recorded)

    def _tell(self, name: str, outcomes: Sequence[Outcome], recorded: Sequence[Recorded]) -> None:
        errors = {each.event: each.error for each in outcomes}
        for each in recorded:
            if each.state == "dead":
                _log.warning(
                    "webhook %s: event %s is a dead letter: %s",
                    name,
                    each.event,
                    errors[each.event],
                )
            elif each.state == "pending":
                self._complain(name, f"{errors[each.event]}")
            else:
                self._told.pop(name, None)

    def _complain(self, name: str, what: str) -> None:
        """Warns of a webhook, once of each thing in a row."""
        if self._told.get(name) != what:
            self._told[name] = what
            _log.warning("webhook %s: %s", name, what)

    async def _end(self) -> None:
        """Waits for what is under way, and notes what became of it."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._drain)
        for task in list(self._tasks):
            task.cancel()
        try:
            await self._record()
        except Exception as error:
            _log.warning("webhooks: what was sent last may be sent once more: %s", error)


def _scope(delivery: Delivery) -> str | None:
    """Whether its key is that of a row or of a group; None: of neither."""
    if delivery.kind in ("failed", "idle"):
        return "group"
    if delivery.kind == "cancel":
        scope = (delivery.body.get("new") or {}).get("scope")
        return scope if scope in ("row", "group") else None
    return "row" if delivery.key else None


def _networks(allow: Sequence[str]) -> list[Network]:
    return [network(each) for each in allow]


def deliver(
    target: Target = None,
    *,
    concurrency: int = 64,
    poll: float = 1.0,
    drain: float = 10.0,
    resolver: Resolver | None = None,
    verify: ssl.SSLContext | None = None,
) -> Dispatcher:
    """Sends what all webhooks of a database have to get.

        with recovery.webhooks.deliver(dsn):
            ...

    Arguments as of `Dispatcher`.
    """
    return Dispatcher(
        target,
        concurrency=concurrency,
        poll=poll,
        drain=drain,
        resolver=resolver,
        verify=verify,
    )
