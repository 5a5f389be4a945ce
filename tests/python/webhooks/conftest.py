"""Webhooks that are sent to a receiver on loopback, of events of public.job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from python.webhooks.receiver import LOOPBACK, Receiver
from recovery import webhooks

Connection = psycopg.Connection[Any]
Add = Callable[..., str]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything."""
    with Receiver() as running:
        yield running


@pytest.fixture
def add(conn: Connection) -> Add:
    """``add(receiver, name="hook", **options)``: a webhook that is quick; gives its secret."""

    def do(receiver: Receiver, name: str = "hook", **options: Any) -> str:
        quick: dict[str, Any] = {"allow": LOOPBACK, "timeout": 2, "backoff": 0.1, "max_backoff": 1}
        return webhooks.add(conn, name, receiver.url, **{**quick, **options})

    return do


@pytest.fixture
def close(conn: Connection) -> Callable[..., None]:
    """``close(*ids)`` ends jobs the way an application does."""

    def do(*ids: int) -> None:
        for id_ in ids:
            conn.execute("update public.job set status = 'done' where id = %s", [id_])

    return do


def one(conn: Connection, name: str = "hook") -> webhooks.Webhook:
    """How far a webhook is."""
    [found] = [each for each in webhooks.status(conn) if each.name == name]
    return found
