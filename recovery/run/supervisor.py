"""`recovery run`: boots, starts the command through its guardian, and ends with it in order."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from recovery import calls
from recovery.database.connect import connect
from recovery.database.pooler import is_shared
from recovery.errors import ConnectionFailed, LeaseLapsed, RecoveryError
from recovery.fence.exit import FENCED
from recovery.run import leftovers
from recovery.run.environment import NOT_EXECUTABLE, NOT_FOUND, Bind, Unrunnable, environment, find
from recovery.run.guardian import FORWARDED, Guardian, say
from recovery.server.server import Server
from recovery.server.service import Service

__all__ = ["Options", "run"]

#: Seconds that a boot may still take, once somebody wants us to stop.
_PATIENCE = 2.0

#: Seconds between two attempts to reach a database that is down.
_RETRY = 1.0

#: What asks for an orderly end.
_ENDS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Options:
    """How a command is run.

    Attributes:
        wait: seconds to wait for a database that can't be reached.
        stop_grace: seconds between SIGTERM and SIGKILL.
        drain: seconds for open work to end before the command hears SIGTERM or SIGINT;
            None: it hears it at once.
        bind: how the command's sessions say their epoch; None: as the way to the database asks.
        hook: whether Python programs get it for drivers that ignore PGOPTIONS.
        ride_out: go on when no heartbeat was answered for a lease; only a refusal ends it.
    """

    wait: float = 0.0
    stop_grace: float = 10.0
    drain: float | None = None
    bind: Bind | None = None
    hook: bool = True
    ride_out: bool = False


def run(
    name: str,
    command: Sequence[str],
    service: Callable[[], Service],
    target: str,
    options: Options,
) -> int:
    """Runs a command as a server; its exit code.

    That is the command's, 128 + n if signal n ended it; 70 if the epoch was ended under it.

    Args:
        name: of the server.
        command: what to run.
        service: a new `serve` for that name each time, which listens to nothing.
        target: the database, as the command is likely to reach it.

    Raises:
        Unrunnable: there is no such command, or it can't be executed.
        RecoveryError: as `serve`; nothing was started.
    """
    find(command[0], os.environ.get("PATH"))
    guardian = Guardian(options.stop_grace)  # before there are threads
    return _Supervisor(name, list(command), service, target, options, guardian).run()


class _Supervisor:
    def __init__(
        self,
        name: str,
        command: list[str],
        service: Callable[[], Service],
        target: str,
        options: Options,
        guardian: Guardian,
    ) -> None:
        self._name, self._command = name, command
        self._new, self._target = service, target
        self._options = options
        self._guardian = guardian
        self._service: Service | None = None
        self._server: Server | None = None
        self._wake, self._bell = os.pipe()
        for end in (self._wake, self._bell):
            os.set_blocking(end, False)
        self._signals: list[int] = []
        self._error: BaseException | None = None
        self._done = False  # it has booted, or can't
        self._fenced: RecoveryError | None = None
        self._stopping = False  # somebody wants the command to end
        self._typed = 0  # the terminal's signal that ended the command
        self._held: list[int] = []  # signals that the command hears when it has drained
        self._drained: threading.Event | None = None

    def run(self) -> int:
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        for number in {*FORWARDED, signal.SIGCHLD}:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        if (code := self._boot()) is not None:
            return code
        assert self._server is not None
        assert self._service is not None
        dead = False
        try:
            bind = self._way()
            self._clear()
            self._say_begun(bind)
            env = environment(os.environ, self._name, self._server.epoch, bind, self._options.hook)
            self._server.on_fenced(self._on_fenced)
            self._hear()
            if (asked := self._asked()) is not None:
                return 128 + asked
            self._server.check()
            self._guardian.start(self._command, env)
            code = self._attend()
            dead = code != 0 and not self._stopping and self._fenced is None
        finally:
            self._service.end(dead=dead)
        if self._typed and os.getpgrp() != os.getpid():
            # A shell script is our group: the terminal would have told it, too, and it only
            # believes it of a command that was killed.
            signal.signal(self._typed, signal.SIG_DFL)
            os.killpg(0, self._typed)
        return FENCED if self._fenced is not None else code

    def _boot(self) -> int | None:
        """Boots; the exit code, if somebody wants us to stop before that is done."""
        thread = threading.Thread(target=self._open, name="recovery-boot", daemon=True)
        thread.start()
        until: float | None = None
        while not self._done:
            timeout = None if until is None else until - time.monotonic()
            if timeout is not None and timeout <= 0:
                say(f"{self._name}: stopped before it had booted")
                # The thread waits for the database, and nothing can be said to it.
                os._exit(128 + (self._asked() or 0))
            self._listen([self._wake], timeout)
            self._hear()
            if until is None and self._asked() is not None:
                until = time.monotonic() + _PATIENCE
        thread.join()
        if self._error is not None:
            if (number := self._asked()) is not None:
                return 128 + number
            raise self._error
        return None

    def _asked(self) -> int | None:
        """The first signal that asks for our end, before the command has started."""
        return next((number for number in self._signals if number in _ENDS), None)

    def _open(self) -> None:
        end = time.monotonic() + self._options.wait
        told = False
        try:
            while True:
                service = self._new()
                try:
                    self._server = service.__enter__()
                    self._service = service
                    return
                except ConnectionFailed as error:
                    if self._asked() is not None or time.monotonic() + _RETRY > end:
                        raise
                    if not told:
                        say(f"{self._name}: waits for the database: {error}")
                        told = True
                    time.sleep(_RETRY)
        except BaseException as error:
            self._error = error
        finally:
            self._done = True
            self._ring()

    def _way(self) -> Bind:
        """How the command's sessions can say their epoch: a pooler refuses options."""
        if self._options.bind is not None:
            return self._options.bind
        with contextlib.closing(connect(self._target, "run", self._name)) as conn:
            if is_shared(conn):
                return "transaction"
            behind = calls.run(conn, calls.session.backend_pid()) != conn.info.backend_pid
            return "session" if behind else "options"

    def _clear(self) -> None:
        """Stops what an earlier life of the name has left running on this host."""
        with contextlib.closing(connect(self._target, "run", self._name)) as conn:
            left = leftovers.find(
                self._name, lambda epoch: calls.run(conn, calls.server.has_ended(epoch))
            )
        left = [one for one in left if one.pid not in (os.getpid(), self._guardian.pid)]
        if left:
            say(
                f"{self._name}: stops {_pids(left)}, left running by an earlier life of this server"
            )
            if lost := leftovers.stop(left, self._options.stop_grace):
                say(f"{self._name}: {_pids(lost)} can't be stopped")

    def _say_begun(self, bind: Bind) -> None:
        assert self._server is not None
        say(f"{self._name} has epoch {self._server.epoch}: {self._server.report}")
        if bind == "session":
            say(
                "the database is behind a pooler, which refuses PGOPTIONS: only Python programs"
                " (psycopg, psycopg2, asyncpg, pg8000) say their epoch; see docs/how-to/run.md"
            )
        elif bind == "transaction":
            say(
                "the database is behind a pooler in transaction mode: only the transactions of"
                " SQLAlchemy and asyncpg say their epoch; what others open belongs to nobody."
                " Give the command a DSN that goes to PostgreSQL itself, and --bind options;"
                " see docs/how-to/run.md"
            )

    def _attend(self) -> int:
        """Until nothing of the command runs any more; its exit code."""
        while True:
            code = self._heard()
            if code is not None:
                return code
            for number in self._take_signals():
                self._on_signal(number)
            if self._drained is not None and self._drained.is_set():
                self._pass_held()
            self._listen([self._wake, self._guardian], None)
            self._hear()

    def _heard(self) -> int | None:
        for message in self._guardian.hear():
            if "refused" in message:
                raise self._unrunnable(message["refused"])
            if "suspended" in message:
                # As a shell expects of its job. Longer than the lease, it is declared dead.
                os.kill(os.getpid(), signal.SIGSTOP)
                self._guardian.resume()
            elif "left" in message:
                say(f"{self._name}: stops {message['left']} process(es) that the command has left")
            elif "ended" in message:
                if message["lost"]:
                    say(f"{self._name}: go on after SIGKILL: {message['lost']}")
                if message["killed"]:
                    say(f"{self._name}: the command did not end in time and was killed")
                self._typed = int(message["typed"])
                self._stopping |= self._typed != 0
                return int(message["ended"])
        if not self._guardian.gone:
            return None
        say(f"{self._name}: the guardian of the command was killed")
        assert self._server is not None
        mine = self._server.epoch
        leftovers.stop(
            [
                one
                for one in leftovers.find(self._name, lambda epoch: epoch == mine)
                if one.pid not in (os.getpid(), self._guardian.pid)
            ],
            self._options.stop_grace,
        )
        return 128 + signal.SIGKILL

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:  # as process 1 of a container we are everybody's parent
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            return
        # The command has the terminal. If we have it, somebody has put us into its foreground.
        typed = number in (signal.SIGINT, signal.SIGQUIT) and _in_foreground()
        if number not in _ENDS or typed:
            self._stopping |= number in (*_ENDS, signal.SIGQUIT, signal.SIGHUP)
            self._guardian.signal(number, group=typed)
            return
        again, self._stopping = self._stopping, True
        if self._options.drain is not None and not again:
            self._held.append(number)
            self._drain(self._options.drain)
        else:
            self._held.append(number)
            self._pass_held()

    def _pass_held(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None
        for number in self._held:
            self._guardian.signal(number)
        self._held.clear()
        self._guardian.limit(self._options.stop_grace)

    def _drain(self, limit: float) -> None:
        server, drained = self._server, threading.Event()
        assert server is not None
        self._drained = drained

        def drain() -> None:
            try:
                end = time.monotonic() + limit
                server.drain(limit)
                say(f"{self._name}: drains for up to {limit:g} s")
                while server.open_rows() and time.monotonic() < end:
                    if drained.wait(0.25):
                        return
            except RecoveryError as error:
                say(f"{self._name}: can't drain: {error}")
            finally:
                drained.set()
                self._ring()

        threading.Thread(target=drain, name="recovery-drain", daemon=True).start()

    def _on_fenced(self, error: RecoveryError) -> None:
        """In the keeper's thread."""
        if self._options.ride_out and isinstance(error, LeaseLapsed):
            say(f"{self._name}: {error.message}; the command goes on")
            return
        if self._fenced is None:
            self._fenced = error
            say(f"{self._name} may not go on, the command is stopped: {error.message}")
            self._guardian.stop(self._options.stop_grace)

    def _unrunnable(self, errno: int) -> Unrunnable:
        code = NOT_FOUND if errno in (2, 20) else NOT_EXECUTABLE
        return Unrunnable(f"{self._command[0]}: {os.strerror(errno)}", code)

    def _take_signals(self) -> list[int]:
        taken, self._signals = self._signals, []
        return taken

    def _listen(self, ends: list[Any], timeout: float | None) -> None:
        select.select(ends, [], [], timeout)

    def _hear(self) -> None:
        """What the signals' handlers have written; 0 is only a bell."""
        with contextlib.suppress(BlockingIOError):
            self._signals += [number for number in os.read(self._wake, 4096) if number]

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._bell, b"\0")


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _pids(processes: Sequence[psutil.Process]) -> str:
    return "process " + ", ".join(str(one.pid) for one in processes)
