"""A connection that is asked the same few things again and again, and must answer at once.

A cursor of psycopg costs 0.2 ms for a small answer when it has not run for a while; what stands
here asks libpq for the same, with a statement that stays prepared and a deadline without a thread.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import abc, pq
from psycopg.adapt import Transformer

from recovery import calls

__all__ = ["Wire"]

T = TypeVar("T")

_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass
class _Statement:
    """One that is prepared."""

    name: bytes
    order: list[str]  # of its parameters
    transformer: abc.Transformer
    known: bool = False  # whether the types of its columns are

    def rows(self, result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        self.transformer.set_pgresult(result, set_loaders=not self.known)
        self.known = True
        return self.transformer.load_rows(0, result.ntuples, tuple)


class Wire:
    """Executes calls over a connection of our own in autocommit mode, and hears what it listens to.

    For one thread. The connection stays usable for everything else between two calls, save
    ``conn.notifies()``: who has a wire waits with `wait`.
    """

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn
        self._pgconn = conn.pgconn
        self._readable = select.poll()
        self._readable.register(conn.fileno(), select.POLLIN)
        self._prepared: dict[str, _Statement] = {}
        self._rung = False
        conn.add_notify_handler(self._ring)  # what comes while others use the connection

    def run(self, call: calls.Call[T], patience: float) -> T:
        """Executes a call; its parameters are texts, whole numbers or None.

        Args:
            call: its statement is prepared by the first one.
            patience: seconds until the connection counts as dead.

        Raises:
            RecoveryError: what `calls.run` raises.
        """
        end = time.monotonic() + patience
        statement = self._prepare(call, end)
        return self._run(call, statement, _texts(call.params, statement.order), patience)

    def wait(self, seconds: float) -> bool:
        """Waits for a notification; whether one came."""
        if not self._rung and self._readable.poll(seconds * 1000):
            self._pgconn.consume_input()
            self._hear()
        rung, self._rung = self._rung, False
        return rung

    def wait_and_run(self, call: calls.Call[T], seconds: float, patience: float) -> T | None:
        """Waits for a notification and executes a call; None if nothing came in time.

        What will be asked is ready before, and the notification is taken from the connection
        while the server is at work. As `run`.
        """
        statement = self._prepare(call, time.monotonic() + patience)
        values = _texts(call.params, statement.order)
        if not self._rung and not self._readable.poll(seconds * 1000):
            return None
        found = self._run(call, statement, values, patience)
        self._rung = False
        return found

    def prepare(self, call: calls.Call[Any], patience: float) -> None:
        """Prepares what will be asked later. As `run`."""
        self._prepare(call, time.monotonic() + patience)

    def _run(
        self,
        call: calls.Call[T],
        statement: _Statement,
        values: list[bytes | None],
        patience: float,
    ) -> T:
        try:
            self._pgconn.send_query_prepared(statement.name, values)
            result = self._answer(time.monotonic() + patience)
            return call.parse(statement.rows(result))
        except BaseException as error:
            if self._pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                self._conn.close()  # the answer would be taken for that to the next question
            if isinstance(error, Exception):
                calls.translate(error, call)
            raise

    def _prepare(self, call: calls.Call[Any], end: float) -> _Statement:
        if (found := self._prepared.get(call.sql)) is not None:
            return found
        order = list(dict.fromkeys(_PARAMETER.findall(call.sql)))
        text = _PARAMETER.sub(lambda found: f"${order.index(found[1]) + 1}", call.sql)
        name = b"recovery_%d" % len(self._prepared)
        try:
            self._pgconn.send_prepare(name, text.replace("%%", "%").encode())
            self._answer(end)
        except Exception as error:
            calls.translate(error, call)
            raise
        found = self._prepared[call.sql] = _Statement(name, order, Transformer(self._conn))
        return found

    def _answer(self, end: float) -> pq.abc.PGresult:
        """The only result of what was sent."""
        pgconn = self._pgconn
        while pgconn.flush():
            time.sleep(0.001)  # more than the socket takes, which these statements never are
            _check(end)
        found = None
        while True:
            while pgconn.is_busy():
                left = end - time.monotonic()
                if left <= 0 or not self._readable.poll(left * 1000):
                    raise psycopg.OperationalError("no answer in time")
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            found = result
        self._hear()
        if found is None:
            raise psycopg.OperationalError("the connection gave no answer")
        if found.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            raise psycopg.errors.error_from_result(found, encoding="utf-8")
        return found

    def _hear(self) -> None:
        while self._pgconn.notifies() is not None:
            self._rung = True

    def _ring(self, _: psycopg.Notify) -> None:
        self._rung = True


def _check(end: float) -> None:
    if time.monotonic() > end:
        raise psycopg.OperationalError("no answer in time")


def _texts(params: Mapping[str, Any], order: list[str]) -> list[bytes | None]:
    found: list[bytes | None] = []
    for name in order:
        value = params[name]
        if value is not None and not isinstance(value, str | int):
            raise TypeError(f"{name} is of {type(value)}, which a wire can't send")
        found.append(None if value is None else str(value).encode())
    return found
