"""Brokers, and relays to them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import recovery
from brokers import BROKERS, Broker, Received
from helpers import wait_for
from recovery.brokers import Relay

_names = itertools.count(1)
ROOT = Path(recovery.__file__).parents[1]


@dataclass(frozen=True)
class Place:
    """A name of the test's own at a broker that others use, too."""

    broker: Broker
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Of the relay."""
        if self.broker.NAME in ("nats", "rabbitmq"):
            return {"stream": self.name, "subject": self.name + ".{watch}.{kind}"}
        return {"subject": self.name + ".{watch}"}

    def received(self) -> list[Received]:
        return self.broker.received(self.name)


def skip_without(kind: str) -> None:
    missing = BROKERS[kind].missing()
    if missing is not None:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def shared() -> Iterator[Callable[[str], Broker]]:
    """``shared(kind)``: a broker that no test stops."""
    with ExitStack() as stack:
        running: dict[str, Broker] = {}

        def get(kind: str) -> Broker:
            skip_without(kind)
            if kind not in running:
                running[kind] = stack.enter_context(BROKERS[kind]())
            return running[kind]

        yield get


@pytest.fixture
def own() -> Iterator[Callable[..., Broker]]:
    """``own(kind, **options)``: a broker of the test's own, started."""
    with ExitStack() as stack:

        def start(kind: str, **options: Any) -> Broker:
            skip_without(kind)
            return stack.enter_context(BROKERS[kind](**options))

        yield start


@pytest.fixture(params=list(BROKERS))
def place(request: pytest.FixtureRequest, shared: Callable[[str], Broker]) -> Place:
    """Each kind of broker, with a name of the test's own."""
    broker = shared(request.param)
    name = f"t{os.getpid()}_{next(_names)}"
    broker.prepare(name)
    return Place(broker, name)


@pytest.fixture
def relay(dsn: str) -> Iterator[Callable[..., Relay]]:
    """``relay(url, **options)``: a relay that runs in a thread until the test ends."""
    with ExitStack() as stack:

        def start(url: Any, **options: Any) -> Relay:
            running = Relay(dsn, url, **{"poll": 0.2, "patience": 5.0, "after": 0, **options})
            thread = threading.Thread(target=running.run)
            thread.start()
            stack.callback(thread.join, 20)
            stack.callback(running.stop)
            return running

        yield start


class Command:
    """`recovery relay` as a process of its own."""

    def __init__(self, dsn: str, *args: str) -> None:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recovery.cli", "relay", *args],
            env={**os.environ, "RECOVERY_DSN": dsn, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Exit code and what it said, after a signal."""
        if number is not None:
            self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=30)
        return self.process.returncode, out, errors

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL)


@pytest.fixture
def command(dsn: str) -> Iterator[Callable[..., Command]]:
    """``command(url, *options)``: the command, running."""
    with ExitStack() as stack:

        def start(*args: str) -> Command:
            one = Command(dsn, *args)
            stack.callback(lambda: one.process.poll() is None and one.kill())
            return one

        yield start


def arguments(place: Place) -> list[str]:
    """URL and options of a relay to a place."""
    return [place.broker.url, *(f"--{k}={v}" for k, v in place.options.items())]


def wait_until_done(conn: Any, timeout: float = 30) -> None:
    """Until every consumer has acknowledged everything."""
    wait_for(
        lambda: conn.execute(
            "select count(*) > 0 and bool_and(lag = interval '0' and state = 'active')"
            " from recovery.consumer_status"
        ).fetchone()[0],
        timeout,
        what="everything is acknowledged",
    )


def transitions(received: list[Received]) -> list[tuple[str, str]]:
    """Kind and key, of each message once, in the order of their first appearance."""
    seen = dict.fromkeys(received_.id for received_ in received)
    first = {one.id: one for one in reversed(received)}
    return [(first[id_].event["kind"], first[id_].event["key"]) for id_ in seen]
