"""One LISTEN connection for a process; feeds a bus from ``recovery.event``.

NOTIFY only says "look": what is delivered is read from the table, after the
position, so a lost connection or a lost NOTIFY loses nothing.

After a failover or a restart, the newest events may be gone, and their ids be given
out again. So a listener remembers the last 10 000 records (of one event, or up to a hundred
of a closing) that it had and found when it began, and reads on after the highest of them that
is still there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
from collections import deque
from concurrent.futures import CancelledError, Future
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import psycopg

from recovery import calls
from recovery.database.connect import Target, check_schema, connect
from recovery.database.deadline import deadline, sever
from recovery.database.link import backoff
from recovery.database.pooler import is_shared, warn
from recovery.database.threads import in_thread
from recovery.database.wire import Wire
from recovery.errors import ConnectionFailed, InvalidArgument
from recovery.events.bus import Bus
from recovery.events.position import Memory, Position
from recovery.types import Event

__all__ = ["Listener", "listen", "run_between"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Seconds until the first read after a wake-up. Ordinary writes NOTIFY at most every
#: 50 ms, so something may have been committed in silence since.
_SOON = 0.025
_TEST_SECONDS = 2.0
#: How many records are remembered.
_DEPTH = 10_000
#: After so many events they are remembered at once, and not in the next pause.
_FRESH = 100


class Listener:
    """Reads events in a daemon thread and hands them to a bus.

    Also a context manager (sync and async) that gives the bus.

    Events come at least once. After a failover to a replica that lost the newest ones,
    new events may have ids that were seen before; they differ in `Event.at`. What was
    delivered and still exists does not come again. If more than 10 000 events were lost,
    nobody knows any more which: then up to as many come a second time, and if 10 000 new
    ones were written before the listener was back, some of those not at all. The log warns.

    Args:
        target: the database, in any form that `recovery.Target` lists.
        bus: where the events go; a new one by default.
        name: of the server, for application_name.
        after: an event id (of `safe_id`): deliver everything above. None: from now on. One
            that is higher than any event counts as the highest that there is.
        poll: seconds between reads when nothing wakes it; each is also the test
            whether the connection still works.
        hold: wait for the first subscription, so that it sees everything.
        patience: seconds for an answer, after which the connection counts as dead.
        epoch: of the server, for application_name.
        polling: don't LISTEN. It is so anyway through a pooler in transaction mode and on a
            hot standby, where events may be read as well.
        timeline: of the database when `after` was noted: `Listener.timeline`. If it is another
            one now, there was a failover, which may have lost events and given their ids out
            again: then it begins 10 000 records before `after`, and some come again.
    """

    def __init__(
        self,
        target: Target = None,
        *,
        bus: Bus | None = None,
        name: str = "",
        after: int | None = None,
        poll: float = 1.0,
        hold: bool = True,
        patience: float = 3.0,
        epoch: int | None = None,
        polling: bool = False,
        timeline: int | None = None,
    ) -> None:
        if poll <= 0 or patience <= 0:
            raise InvalidArgument("poll and patience must be greater than 0 s")
        if after is not None and after < 0:
            raise InvalidArgument(f"after must be an event id or 0, not {after}")
        self.bus = bus or Bus()
        self.failures = 0  #: connections that were lost or could not be made
        self._target, self._name, self._epoch = target, name, epoch
        self._poll, self._hold, self._patience = poll, hold, patience
        self._position: Position | None = None
        self._after, self._then = after, timeline
        self._memory = Memory(limit=_DEPTH)
        self._fresh: list[Event] = []  # delivered, and not in the memory yet
        self._life: tuple[str | None, datetime] | None = None
        self._conn: psycopg.Connection[Any] | None = None
        self._wire: Wire | None = None  # of that connection, if it listens
        self._errands: deque[tuple[calls.Call[Any], Future[Any]]] = deque()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._in_vain = 0  # connections since the last read that succeeded
        self._pid = 0
        self._polling = polling

    def __enter__(self) -> Bus:
        self.start()
        return self.bus

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Bus:
        await in_thread(self.start)
        return self.bus

    async def __aexit__(self, *_: object) -> None:
        await in_thread(self.stop)

    @property
    def timeline(self) -> int:
        """Of the database: after a failover another one; 1 if it is not known (a standby's)."""
        return 1 if self._life is None else _number(self._life[0])

    @property
    def connected(self) -> bool:
        """Whether it listens now; else it is connecting again."""
        return self._conn is not None

    @property
    def safe_id(self) -> int:
        """What to give as `after` next time: no event at or below is still to come."""
        return (self._after or 0) if self._position is None else self._position.safe_id

    def start(self) -> None:
        """Connects, then reads in a thread.

        Raises:
            ConnectionFailed: the first connection fails; later ones are repeated.
            SchemaMismatch: the schema is missing, older or newer (RC009).
            PermissionDenied: the role is not a member of recovery_listener (42501).
        """
        if self._thread is not None:
            raise InvalidArgument("a listener can be started once")
        self._conn = self._connect()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="recovery-listener", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stops reading and closes the bus; waits `timeout` seconds at most."""
        self._stopped.set()
        if self._thread is None or self._pid != os.getpid():
            return
        self.bus.wanted.set()  # it may wait for that
        conn = self._conn
        if conn is not None:
            sever(conn)
        self._thread.join(timeout)
        self.bus.close()

    def _run_errands(self, conn: psycopg.Connection[Any]) -> None:
        while self._errands:
            call, future = self._errands.popleft()
            if not future.set_running_or_notify_cancel():
                continue  # nobody waits for it any more
            try:
                with deadline(conn, self._patience):
                    future.set_result(calls.run(conn, call))
            except Exception as error:
                future.set_exception(error)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                if self._conn is None:
                    self._conn = self._connect()
                if self._hold:
                    self.bus.wanted.wait()
                    self._hold = False
                self._follow(self._conn)
            except Exception as error:
                if self._stopped.is_set():
                    break
                self.failures += 1
                self._in_vain += 1
                pause = backoff(self._in_vain)
                _log.warning("listener: %s; connecting again in %.1f s", error, pause)
                self._close()
                self._stopped.wait(pause)
        self._close()

    def _connect(self) -> psycopg.Connection[Any]:
        """Connects, listens, and knows where "now" is: in this order, so nothing is lost."""
        conn = connect(self._target, "listener", self._name, self._epoch)
        try:
            with deadline(conn, 3 * self._patience):
                check_schema(conn)
                if shared := is_shared(conn):
                    warn()  # and LISTEN would stay with a connection that others get
                self._wire = None
                if not (self._polling or shared or calls.run(conn, calls.event.standby())):
                    calls.run(conn, calls.event.listen())
                    _test(conn)
                    self._wire = Wire(conn)
                life = calls.run(conn, calls.event.timeline())
                if self._position is None:
                    self._position = self._begin(conn, _number(life[0]))
                elif life != self._life:
                    self._rewind(conn, self._position)
                self._life = life
                if self._wire is not None:  # now, not while an event is waited for
                    self._wire.prepare(calls.event.page(0), self._patience)
                    call = calls.event.ahead(self._position.newest, heard=True)
                    self._wire.prepare(call, self._patience)
        except BaseException:
            conn.close()
            raise
        return conn

    def _begin(self, conn: psycopg.Connection[Any], timeline: int) -> Position:
        found = calls.run(conn, calls.event.tail())
        if self._after is None:
            position = Position(found.newest, found.gaps)
        else:  # higher ones than there are belong to a state that was lost
            position = Position(min(self._after, found.newest))
            if self._then not in (None, timeline):
                position = Position(max(0, position.newest - _DEPTH * calls.event.RECORD))
                _log.warning(
                    "listener: a failover since %s was noted; reading on after %s",
                    self._after,
                    position.newest,
                )
        floor = position.newest - _DEPTH * calls.event.RECORD
        self._memory = Memory(max(0, floor), _DEPTH)
        known = calls.event.fingerprints(self._memory.floor, position.newest)
        for id_, fingerprint in calls.run(conn, known).items():
            self._memory.add(id_, fingerprint)
        return position

    def _rewind(self, conn: psycopg.Connection[Any], position: Position) -> None:
        """The database has started anew, or is another one: goes back to what it knows."""
        self._remember()
        memory = self._memory
        there = calls.run(conn, calls.event.fingerprints(memory.floor, memory.newest))
        start, sure = memory.restart(there, calls.run(conn, calls.event.tail()).newest)
        if start < memory.newest:
            _log.warning(
                "listener: the database has lost events up to %s; reading on after %s%s",
                memory.newest,
                start,
                "" if sure else ", and some may come again: more was lost than is remembered",
            )
        if not sure:
            memory = self._memory = Memory(start, _DEPTH)
        memory.forget(start)
        newest = min(start + calls.event.RECORD - 1, position.newest)
        position.rewind(newest, memory.unknown(newest))

    def _follow(self, conn: psycopg.Connection[Any]) -> None:
        """Reads whenever it is woken, soon after again, and slowly in any case."""
        pause, page = _SOON, None
        while not self._stopped.is_set():
            self._run_errands(conn)
            pause = _SOON if self._read(conn, page) else min(2 * pause, self._poll)
            page = self._wait(pause)
            if page is None:
                self._remember()
            else:
                pause = _SOON / 2

    def _wait(self, pause: float) -> calls.event.Page | None:
        """Waits until there is something to read; what it is, if that is known already."""
        position = self._position
        assert position is not None
        if self._wire is None:
            self._stopped.wait(pause)
            return None
        if position.is_plain:
            ahead = calls.event.ahead(position.newest, heard=True)
            return self._wire.wait_and_run(ahead, pause, self._patience)
        page = calls.event.page(position.newest, position.gaps)
        return self._wire.wait_and_run(page, pause, self._patience)

    def _read(self, conn: psycopg.Connection[Any], page: calls.event.Page | None) -> bool:
        """Delivers what there is; whether there was something.

        Args:
            page: what has been read already.
        """
        position = self._position
        assert position is not None
        any_ = False
        while not self._stopped.is_set():
            page = page or self._look(conn, position)
            self._in_vain = 0
            go_on = partial(self._go_on, conn)
            for place, event in enumerate(page.events):
                if not self.bus.deliver(event, go_on):
                    # Stopped, while a lossless subscriber was full.
                    position.take(page.newest, page.gaps, [e.id for e in page.events], place)
                    self._fresh += page.events[:place]
                    return any_
            self._fresh += page.events
            position.newest, position.gaps = page.newest, page.gaps
            any_ = any_ or bool(page.events)
            if len(self._fresh) > _FRESH:
                self._remember()
            if not page.full:
                break
            page = None
        return any_

    def _remember(self) -> None:
        """Takes note of what was delivered, when nobody waits for it."""
        for event in self._fresh:
            if event.id % calls.event.RECORD == 0:
                found = calls.event.fingerprint(event.at, event.watch, event.kind)
                self._memory.add(event.id, found)
        self._fresh.clear()

    def _look(self, conn: psycopg.Connection[Any], position: Position) -> calls.event.Page:
        """What has become visible since a position."""
        # No answer may mean a busy database rather than a dead link: more time next.
        patience = self._patience * 2 ** min(self._in_vain, 4)
        if self._wire is not None and position.is_plain:
            found = self._wire.run(calls.event.ahead(position.newest), patience)
            if found is not None:
                return found
        call = calls.event.page(position.newest, position.gaps)
        if self._wire is not None:
            return self._wire.run(call, patience)
        with deadline(conn, patience):
            return calls.run(conn, call)

    def _go_on(self, conn: psycopg.Connection[Any]) -> bool:
        """What is done every 0.1 s while a lossless subscriber is full; whether to wait on.

        Notifications have to be taken meanwhile: a backend that can't get rid of them keeps
        the queue of the whole cluster from being emptied.
        """
        if not self._stopped.is_set():
            self._run_errands(conn)
            with contextlib.suppress(psycopg.Error, OSError):  # the next read will tell
                while not self._stopped.is_set() and self._wire is not None and self._wire.wait(0):
                    pass
        return not self._stopped.is_set()

    def _close(self) -> None:
        conn, self._conn, self._wire = self._conn, None, None
        if conn is not None:
            conn.close()


def run_between(listener: Listener, call: calls.Call[T], timeout: float) -> T:
    """Executes a call over a listener's connection, between two reads.

    Raises:
        RecoveryError: what `calls.run` raises; ConnectionFailed: no answer in time.
    """
    future: Future[T] = Future()
    listener._errands.append((call, future))
    try:
        return future.result(timeout)
    except (TimeoutError, CancelledError):
        future.cancel()
        raise ConnectionFailed(f"the listener gave no answer in {timeout:g} s") from None


def _number(timeline: str | None) -> int:
    """Of a timeline; 1 if it is not known."""
    return 1 if timeline is None else int(timeline, 16)


def _test(conn: psycopg.Connection[Any]) -> None:
    """Whether notifications come through."""
    channel = f"recovery_test_{uuid.uuid4().hex}"
    calls.run(conn, calls.event.listen(channel))
    calls.run(conn, calls.event.notify(channel))
    heard = [n for n in conn.notifies(timeout=_TEST_SECONDS, stop_after=1) if n.channel == channel]
    calls.run(conn, calls.event.unlisten(channel))
    if not heard:
        _log.warning(
            "listener: a notification did not come back; events are found by polling. LISTEN"
            " needs a direct connection to PostgreSQL"
        )


def listen(
    target: Target = None,
    *,
    bus: Bus | None = None,
    name: str = "",
    after: int | None = None,
    poll: float = 1.0,
    hold: bool = True,
    patience: float = 3.0,
    epoch: int | None = None,
    polling: bool = False,
    timeline: int | None = None,
) -> Listener:
    """The events, without a server of one's own.

        with recovery.listen(dsn) as bus:
            for event in bus.subscribe(kind="closed"):
                ...

    Reading begins with the first subscription. Arguments as of `Listener`.
    """
    return Listener(
        target,
        bus=bus,
        name=name,
        after=after,
        poll=poll,
        hold=hold,
        patience=patience,
        epoch=epoch,
        polling=polling,
        timeline=timeline,
    )
