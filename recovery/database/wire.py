"""A connection that is asked the same few things again and again, and must answer at once.

A cursor of psycopg costs 0.2 ms for a small answer when it has not run for a while; what stands
here asks libpq for the same, with a statement that stays prepared and a deadline without a thread.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from recovery import calls

__all__ = ["Wire"]

T = TypeVar("T")

_PARAMETER = re.compile(r"%\((\w+)\)s")


class Wire:
    """Executes calls over a connection of our own in autocommit mode, and hears what it listens to.

    For one thread. The connection stays usable for everything else between two calls, save
    ``conn.notifies()``: who has a wire waits with `wait`.
    """

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn
        self._pgconn = conn.pgconn
        self._transformer = Transformer(conn)
        self._readable = select.poll()
        self._readable.register(conn.fileno(), select.POLLIN)
        self._prepared: dict[str, tuple[bytes, list[str]]] = {}
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
        try:
            end = time.monotonic() + patience
            name, order = self._prepared.get(call.sql) or self._prepare(call.sql, end)
            self._pgconn.send_query_prepared(name, _texts(call.params, order))
            result = self._answer(end)
            self._transformer.set_pgresult(result)
            rows = self._transformer.load_rows(0, result.ntuples, tuple)
            return call.parse(rows)
        except BaseException as error:
            if self._pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                self._conn.close()  # the answer would be taken for that to the next question
            if isinstance(error, Exception):
                calls.translate(error, call)
            raise

    def wait(self, seconds: float) -> bool:
        """Waits for a notification; whether one came."""
        if not self._rung and self._readable.poll(seconds * 1000):
            self._pgconn.consume_input()
            self._hear()
        rung, self._rung = self._rung, False
        return rung

    def prepare(self, call: calls.Call[Any], patience: float) -> None:
        """Prepares what will be asked later. As `run`."""
        try:
            self._prepare(call.sql, time.monotonic() + patience)
        except Exception as error:
            calls.translate(error, call)
            raise

    def _prepare(self, sql: str, end: float) -> tuple[bytes, list[str]]:
        order = list(dict.fromkeys(_PARAMETER.findall(sql)))
        text = _PARAMETER.sub(lambda found: f"${order.index(found[1]) + 1}", sql)
        name = b"recovery_%d" % len(self._prepared)
        self._pgconn.send_prepare(name, text.replace("%%", "%").encode())
        self._answer(end)
        self._prepared[sql] = name, order
        return name, order

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
