"""The process between `recovery run` and its command: starts it, signals it, reaps, stops.

It outlives its supervisor, however that ends (kill -9, out of memory): then it stops the
command with all that the command has started. If it is killed itself, the kernel kills the
command (Linux). It is forked before there is any thread, and knows nothing of a database.

Whatever the command starts stays its descendant: a daemon that has left its parents comes
back to the guardian (a "child subreaper"), is waited for, and stopped at the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import psutil

__all__ = ["FORWARDED", "Guardian", "say"]

#: What is handed on to the command.
FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)

#: What a terminal does to a job that it is to suspend.
_SUSPENDS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

#: Seconds that the kernel gets to end what was killed.
_KILL_WAIT = 5.0

#: Seconds between two looks at what is to end.
_POLL = 0.05

Message = dict[str, Any]


def say(text: str) -> None:
    """A line on standard error, whoever reads it or not."""
    with contextlib.suppress(OSError, ValueError):
        print(f"recovery: {text}", file=sys.stderr, flush=True)


class Guardian:
    """The supervisor's end: forks the guardian, tells it what to do, hears what happened.

    Make it while the process has one thread. What it reports:

    - ``{"started": pid}``, ``{"refused": errno}``: of the command
    - ``{"suspended": signal}``: by its terminal
    - ``{"left": count}``: the command has ended, what it has started has not
    - ``{"ended": code, "killed": whether by us, "typed": signal, "lost": pids}``: nothing runs
      any more; `typed` is the signal of the terminal that ended it, or 0

    Args:
        grace: seconds between SIGTERM and SIGKILL, if the supervisor dies, or for what the
            command leaves behind.
    """

    def __init__(self, grace: float) -> None:
        ignored = {number for number in FORWARDED if signal.getsignal(number) == signal.SIG_IGN}
        self._ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._ours.close()
            _guard(theirs, parent, ignored, grace)
        theirs.close()
        self._ours.setblocking(False)
        self._read = b""
        self.gone = False

    def fileno(self) -> int:
        """For select: there is something to `hear`."""
        return self._ours.fileno()

    def hear(self) -> list[Message]:
        """What it has reported since; `gone` when it can't any more."""
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    got = self._ours.recv(65536)
                except ConnectionError:
                    got = b""
                self._read += got
                if not got:
                    self.gone = True
                    break
        *lines, self._read = self._read.split(b"\n")
        return [json.loads(line) for line in lines]

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Starts the command, found before."""
        self._tell({"start": list(command), "env": dict(env)})

    def signal(self, number: int, *, group: bool = False) -> None:
        """Signals the command, or its whole process group."""
        self._tell({"signal": int(number), "group": group})

    def stop(self, grace: float | None = None) -> None:
        """SIGTERM, the grace, SIGKILL for all that is left. Without a grace: as it was made."""
        self._tell({"stop": grace})

    def limit(self, grace: float) -> None:
        """SIGKILL after the grace for all that is left; the command knows already."""
        self._tell({"limit": grace})

    def resume(self) -> None:
        """The command goes on; in the foreground, if we are."""
        self._tell({"resume": True})

    def _tell(self, message: Message) -> None:
        self._ours.setblocking(True)
        try:
            self._ours.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # it is gone: `hear` says so
        finally:
            self._ours.setblocking(False)


def _guard(link: socket.socket, parent: int, ignored: Iterable[int], grace: float) -> NoReturn:
    """The life of the guardian's process."""
    code = 70
    try:
        _Guard(link, parent, ignored, grace).run()
        code = 0
    except BaseException as error:
        say(f"the guardian failed: {error!r}")
    finally:
        os._exit(code)


class _Guard:
    """The guardian's own end."""

    def __init__(
        self, link: socket.socket, parent: int, ignored: Iterable[int], grace: float
    ) -> None:
        self._link = link
        self._parent = parent
        self._parents_group = os.getpgid(parent)
        self._ignored = set(ignored)
        self._grace = grace
        self._main: int | None = None  # the command, while it runs
        self._group: int | None = None  # of the command
        self._code: int | None = None
        self._orphaned = False  # the supervisor is gone
        self._until: float | None = None  # then SIGKILL
        self._killing: float | None = None  # since when
        self._killed = False
        self._typed = 0
        self._told: set[int] = set()  # what was left behind, and has had its SIGTERM
        self._read = b""
        # A signal for the supervisor's group (kill -- -PGID) is not for us.
        os.setpgid(0, 0)
        for number in {*FORWARDED, *_SUSPENDS}:
            signal.signal(number, signal.SIG_IGN)
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._terminal = _terminal()
        self._libc = _prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def run(self) -> None:
        """Until nothing of the command runs any more, or it was never to start."""
        while True:
            self._reap()
            if self._main is None and self._code is not None:
                left = self._descendants()
                if not left:
                    self._tell_end([])
                    return
                self._see_off(left)
                if self._killing and time.monotonic() > self._killing + _KILL_WAIT:
                    self._tell_end([process.pid for process in left])
                    return
            if self._until is not None and time.monotonic() >= self._until:
                self._kill()
            ends = self._orphaned and self._main is None and self._code is None
            if ends:
                return
            self._wait()

    def _wait(self) -> None:
        watched: list[Any] = [self._wake]
        if not self._orphaned:
            watched.append(self._link)
        timeout = None
        if self._killing is not None or self._told:
            timeout = _POLL
        elif self._until is not None:
            timeout = max(0.0, self._until - time.monotonic())
        ready = select.select(watched, [], [], timeout)[0]
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
        if self._link in ready:
            try:
                got = self._link.recv(1 << 20)
            except ConnectionError:
                got = b""
            if not got:
                self._orphan()
                return
            *lines, self._read = (self._read + got).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))

    def _obey(self, message: Message) -> None:
        if "start" in message:
            self._start(message["start"], message["env"])
        elif "signal" in message:
            self._signal(message["signal"], group=message["group"])
        elif "stop" in message:
            self._stop(message["stop"])
        elif "limit" in message:
            self._limit(message["limit"])
        elif "resume" in message:
            self._resume()

    def _orphan(self) -> None:
        self._orphaned = True
        if self._main is not None:
            say(f"recovery run has died: stopping its command (process {self._main})")
            self._stop(None)

    def _start(self, command: list[str], env: dict[str, str]) -> None:
        failed, fails = os.pipe()
        guardian = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(command, env, guardian, fails)
        os.close(fails)
        self._main = self._group = pid
        with contextlib.suppress(OSError):  # the child does it as well: whoever is first
            os.setpgid(pid, pid)
        with os.fdopen(failed, "rb") as pipe:
            errno = pipe.read()
        if errno:
            os.waitpid(pid, 0)
            self._main, self._code = None, 127
            self._leave_terminal()
            self._tell({"refused": int(errno)})
        else:
            self._tell({"started": pid})
            if self._until is not None:  # it was to stop before it began
                self._signal(signal.SIGTERM)

    def _become(self, command: list[str], env: dict[str, str], guardian: int, fails: int) -> None:
        try:
            os.setpgid(0, 0)
            self._give_terminal(os.getpid(), self._parents_group)
            signal.set_wakeup_fd(-1)
            if self._libc is not None:
                self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != guardian:
                    os._exit(137)
            # Python ignores some, we others; an exec hands that on.
            for number in {*FORWARDED, *_SUSPENDS, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ}:
                ignore = number in self._ignored
                signal.signal(number, signal.SIG_IGN if ignore else signal.SIG_DFL)
            os.execvpe(command[0], command, env)
        except OSError as error:
            os.write(fails, str(error.errno or 0).encode())
        finally:
            os._exit(127)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid != self._main:
                continue
            if os.WIFSTOPPED(status):
                if os.WSTOPSIG(status) in _SUSPENDS and self._foreground() == self._group:
                    self._tell({"suspended": os.WSTOPSIG(status)})
                continue
            code = os.waitstatus_to_exitcode(status)
            if -code in (signal.SIGINT, signal.SIGQUIT) and self._foreground() == self._group:
                self._typed = -code
            self._code = code if code >= 0 else 128 - code
            self._main = None
            self._leave_terminal()

    def _see_off(self, left: list[psutil.Process]) -> None:
        """What the command has left behind gets the same: SIGTERM, the grace, SIGKILL."""
        if not self._told and self._killing is None:
            self._tell({"left": len(left)})
        if self._until is None and self._killing is None:
            self._until = time.monotonic() + self._grace
        for process in left:
            if process.pid not in self._told and self._killing is None:
                self._told.add(process.pid)
                _send(process, signal.SIGTERM)
                _send(process, signal.SIGCONT)
        if self._killing is not None:
            self._kill()

    def _signal(self, number: int, *, group: bool = False) -> None:
        if self._main is not None:  # not waited for: the pid is still its own
            with contextlib.suppress(OSError):
                if group:
                    os.killpg(self._main, number)
                else:
                    os.kill(self._main, number)

    def _stop(self, grace: float | None) -> None:
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT, group=True)  # who is stopped hears nothing
        self._limit(self._grace if grace is None else grace)

    def _limit(self, grace: float) -> None:
        until = time.monotonic() + grace
        self._until = until if self._until is None else min(self._until, until)

    def _kill(self) -> None:
        self._until = None
        if self._killing is None:
            self._killing = time.monotonic()
            self._killed = self._main is not None
            # A group dies at once; what left it is looked for.
            self._signal(signal.SIGKILL, group=True)
        for process in self._descendants():
            _send(process, signal.SIGKILL)

    def _descendants(self) -> list[psutil.Process]:
        """All that runs because of the command, and is not a zombie."""
        found = {}
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found[process.pid] = process
        return list(found.values())

    def _foreground(self) -> int | None:
        """The process group that has the terminal, if there is one."""
        if self._terminal is not None:
            with contextlib.suppress(OSError):
                return os.tcgetpgrp(self._terminal)
        return None

    def _give_terminal(self, group: int, holder: int | None) -> None:
        """Ctrl-C goes to whoever has the terminal: to the command, once, and not to us."""
        if self._terminal is not None and holder is not None and self._foreground() == holder:
            with contextlib.suppress(OSError):
                os.tcsetpgrp(self._terminal, group)

    def _leave_terminal(self) -> None:
        if not self._orphaned:
            self._give_terminal(self._parents_group, self._group)

    def _resume(self) -> None:
        if self._group is not None:
            self._give_terminal(self._group, self._parents_group)
            self._signal(signal.SIGCONT, group=True)

    def _tell_end(self, lost: list[int]) -> None:
        self._tell(
            {"ended": self._code, "killed": self._killed, "typed": self._typed, "lost": lost}
        )

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(OSError):
            self._link.sendall(json.dumps(message).encode() + b"\n")


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.Error, OSError):  # psutil compares the start time
        process.send_signal(number)


def _terminal() -> int | None:
    """The terminal that controls this session, if there is one."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None


def _prctl(option: int, value: int) -> Any:
    """The C library, if it has prctl (Linux) and that worked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return libc if libc.prctl(option, value, 0, 0, 0) == 0 else None
    except (AttributeError, OSError):
        return None
