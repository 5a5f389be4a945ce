"""Being cancelled, and being alive: what a live server has to do with the watchdog.

The sweep asks a live owner to stop what is overdue and closes it after ``cancel_grace``
(`recovery.settings`). Here is the owner's side: it hears of it, tells the application,
stops the processes, acknowledges; and it says by touches what moves though its rows don't.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from recovery import calls
from recovery.database.link import backoff
from recovery.errors import InvalidArgument, RecoveryError, WatchUnknown
from recovery.events.bus import Bus, Subscription
from recovery.fence.epoch import Epoch
from recovery.types import Cancel, Event, Scope
from recovery.work.reaping import reap_all

__all__ = ["C", "Callback", "Canceller"]

_log = logging.getLogger(__name__)

#: Seconds between two writes of touches.
_PACE = 1.0

#: Seconds for an answer of the database.
_TIMEOUT = 10.0

#: Seconds that callbacks get, and processes between SIGTERM and SIGKILL, at most.
_PATIENCE, _GRACE = 10.0, 5.0

#: Cancels that are handled at once; more have to wait.
_AT_ONCE = 16


Callback: TypeAlias = Callable[[Cancel], Awaitable[object] | object]
C = TypeVar("C", bound=Callback)


class Canceller:
    """The thread of one server; started and stopped by its keeper.

    It asks nothing unless there is something to say or somebody to tell, and no failure is
    fatal: what an owner does not do, the deadline does.

    Attributes:
        failures: touches and looks that failed and were tried again.
    """

    def __init__(self, epoch: Epoch, bus: Bus) -> None:
        self._epoch = epoch
        self._name, self._link = epoch.name, epoch.link
        self._bus = bus
        self._changed = threading.Condition()
        self._touched: dict[tuple[str, str], set[str]] = {}
        self._callbacks: list[tuple[Callback, asyncio.AbstractEventLoop | None]] = []
        self._engaged = False
        self._ask = False
        self._seen: set[int] = set()
        self._queue: deque[tuple[Cancel, float]] = deque()
        self._workers = 0
        self._running = False
        self._thread: threading.Thread | None = None
        self._subscription: Subscription | None = None
        self.failures = 0

    def touch(self, watch: str, key: object, scope: Scope) -> None:
        """`Server.touch`."""
        if scope not in ("row", "group"):
            raise InvalidArgument(f"scope {scope!r}: it is 'row' or 'group'")
        key = calls.key(key, "touch")
        if not self._epoch.here:
            return
        with self._changed:  # held by the thread for as long as it takes to swap a dict
            if not self._touched:
                self._changed.notify()
            self._touched.setdefault((watch, scope), set()).add(key)

    def add(self, callback: Callback) -> None:
        """`Server.on_cancel`."""
        loop = None
        if inspect.iscoroutinefunction(callback):
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                pass
        self._callbacks.append((callback, loop))
        self.engage()

    def engage(self) -> None:
        """From now on there is somebody to tell, or something to stop."""
        with self._changed:
            if self._engaged:
                return
            self._engaged = self._ask = True
            self._listen()
            self._changed.notify()

    def look(self) -> None:
        """Reads soon what is to be cancelled: at each heartbeat, and when the bus says so."""
        if self._engaged and self._epoch.here:
            with self._changed:
                self._ask = True
                self._changed.notify()

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name="recovery-watchdog", daemon=True)
        with self._changed:
            self._running = True
            self._listen()
        self._thread.start()

    def stop(self) -> list[threading.Thread]:
        """Stops it; the threads to wait for."""
        with self._changed:
            self._running = False
            self._queue.clear()
            subscription, self._subscription = self._subscription, None
            self._changed.notify()
        if subscription is not None:
            subscription.close()
        return [] if self._thread is None else [self._thread]

    def _listen(self) -> None:
        if self._running and self._engaged and self._subscription is None:
            self._subscription = self._bus.on(self._hear, kind="cancel")

    def _hear(self, event: Event) -> None:
        if event.server_epoch != self._epoch.number:
            return
        new = event.new or {}
        if not new.get("closed"):
            self.look()
            return
        self._enqueue(
            Cancel(
                id=None,
                watch=event.watch,
                scope=str(new.get("scope", "row")),
                key=event.key,
                reason=event.reason or "operator",
                detail=new,
                requested=event.at,
                deadline=None,
            ),
            _PATIENCE,
        )

    def _run(self) -> None:
        failed, pause = 0, 0.0
        while True:
            with self._changed:
                while self._running and not self._ask:
                    left = pause - time.monotonic()
                    if self._touched and left <= 0:
                        break
                    self._changed.wait(left if self._touched else None)
                if not self._running:
                    return
                ask, self._ask = self._ask, False
                touched: dict[tuple[str, str], set[str]] = {}
                if time.monotonic() >= pause:
                    touched, self._touched = self._touched, {}
            if ask:
                self._read()
            if touched:
                failed = 0 if self._flush(touched) else failed + 1
                pause = time.monotonic() + max(_PACE, backoff(failed))

    def _flush(self, touched: dict[tuple[str, str], set[str]]) -> bool:
        """Writes touches; what is not written is kept."""
        for (watch, scope), keys in list(touched.items()):
            try:
                self._link.run(calls.watchdog.touch(watch, sorted(keys), scope), _TIMEOUT)
            except WatchUnknown as error:
                _log.error("touches of %s are dropped: %s", watch, error)
            except InvalidArgument as error:
                if len(keys) > 1:  # the others are well: write them one by one
                    if not all(self._flush({(watch, scope): {one}}) for one in sorted(keys)):
                        self._keep(touched)
                        return False
                else:
                    _log.error("touch of %s %s is dropped: %s", watch, *keys, error)
            except Exception as error:
                self._complain("touch", error)
                self._keep(touched)
                return False
            del touched[watch, scope]
        return True

    def _keep(self, touched: dict[tuple[str, str], set[str]]) -> None:
        with self._changed:
            for unit, kept in touched.items():
                self._touched.setdefault(unit, set()).update(kept)

    def _read(self) -> None:
        try:
            asked = self._link.run(calls.watchdog.cancellations(self._epoch.number), _TIMEOUT)
        except Exception as error:
            self._complain("look for cancels", error)
            return
        new = [(cancel, left) for cancel, left in asked if cancel.id not in self._seen]
        self._seen = {cancel.id for cancel, _ in asked if cancel.id}  # ids are never used again
        for cancel, left in new:
            _log.info(
                "server %s is asked to stop %s %s: %s",
                self._name,
                cancel.scope,
                cancel.key,
                cancel.reason,
            )
            self._enqueue(cancel, max(0.0, left))

    def _enqueue(self, cancel: Cancel, patience: float) -> None:
        with self._changed:
            if not self._running:
                return
            self._queue.append((cancel, time.monotonic() + patience))
            if self._workers >= _AT_ONCE:
                return
            self._workers += 1
        threading.Thread(target=self._work, name="recovery-cancel", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._queue:
                    self._workers -= 1
                    return
                cancel, end = self._queue.popleft()
            try:
                self._handle(cancel, end)
            except Exception:
                _log.exception("cancelling %s %s failed", cancel.scope, cancel.key)

    def _handle(self, cancel: Cancel, end: float) -> None:
        # Looked up first: a callback that ends the work may end `Server.process` blocks,
        # and what ran in them need not have ended with them.
        before = self._processes(cancel)
        told = self._tell(cancel, end)
        after = self._processes(cancel)
        if before is None or after is None:
            reaped: bool | None = False
        else:
            reaped = self._reap(before | after, end)
        # Only what has stopped for certain is acknowledged.
        if cancel.id is None or False in (told, reaped) or not (told or reaped):
            return
        call = calls.watchdog.acknowledge(cancel.id, self._epoch.number, self._epoch.token)
        try:
            closed = self._send(call)
        except RecoveryError as error:
            _log.warning("the deadline closes %s %s: %s", cancel.scope, cancel.key, error)
        else:
            _log.info("%s %s was stopped (%s): %s", cancel.scope, cancel.key, cancel.reason, closed)

    def _tell(self, cancel: Cancel, end: float) -> bool | None:
        """Runs the callbacks: whether they returned in time, and none raised; None: no one."""
        callbacks = list(self._callbacks)
        if not callbacks:
            return None
        fine: list[bool] = []

        def call() -> None:
            for callback, loop in callbacks:
                try:
                    _call(callback, loop, cancel)
                except Exception:
                    _log.exception("on_cancel callback of server %s failed", self._name)
                    return
            fine.append(True)

        # A thread of its own: one that hangs must not keep the processes running.
        thread = threading.Thread(target=call, name="recovery-on-cancel", daemon=True)
        thread.start()
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            _log.warning("on_cancel callbacks for %s %s still run", cancel.scope, cancel.key)
        return bool(fine)

    def _processes(self, cancel: Cancel) -> dict[int, calls.process.Process] | None:
        """The unit's processes on this host, by number; None: the database does not say."""
        try:
            found = self._send(calls.process.processes_of(cancel.watch, cancel.key, cancel.scope))
            if cancel.scope == "row" and (child := cancel.detail.get("child")):
                found += self._send(calls.process.processes_of(cancel.watch, str(child), "group"))
        except RecoveryError as error:
            _log.warning("nobody knows the processes of %s: %s", cancel.key, error)
            return None
        return {one.id: one for one in found if one.host == self._epoch.host}

    def _reap(self, processes: dict[int, calls.process.Process], end: float) -> bool | None:
        """Stops processes: whether all are gone; None: there were none."""
        if not processes:
            return None
        # So that SIGKILL comes before the deadline, if that is possible.
        grace = min(_GRACE, max(0.0, end - time.monotonic()) / 2)
        gone = reap_all([(one.pid, one.start) for one in processes.values()], grace=grace)
        for number, ended in zip(processes, gone, strict=True):
            if ended:
                try:
                    self._send(calls.process.untrack(number))
                except RecoveryError as error:
                    _log.warning("process entry %s stays: %s", number, error)
        return all(gone)

    def _send(self, call: calls.Call[Any]) -> Any:
        if not self._running:
            raise RecoveryError("the keeper was stopped")
        return self._link.run(call, _TIMEOUT)

    def _complain(self, what: str, error: Exception) -> None:
        self.failures += 1
        known = isinstance(error, RecoveryError)
        _log.warning(
            "%s of %s failed, will be repeated: %s", what, self._name, error, exc_info=not known
        )


def _call(callback: Callback, loop: asyncio.AbstractEventLoop | None, cancel: Cancel) -> None:
    result = callback(cancel)
    if not inspect.iscoroutine(result):
        return
    if loop is None:
        asyncio.run(result)
        return
    try:
        future = asyncio.run_coroutine_threadsafe(result, loop)
    except RuntimeError:  # the loop is closed
        result.close()
        raise
    future.result()
