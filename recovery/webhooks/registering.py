"""Adding webhooks, and what is done with them later."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import uuid4

from recovery import calls
from recovery.calls.webhook import DeadLetter, Webhook
from recovery.calls.webhook import Target as Receiver
from recovery.database.once import AsyncWhere, Where, ado, do
from recovery.errors import InvalidArgument
from recovery.webhooks.address import Network, Resolver, network
from recovery.webhooks.message import encode
from recovery.webhooks.sender import Attempt, Sender, check_url
from recovery.webhooks.signature import signed

__all__ = [
    "Names",
    "aadd",
    "add",
    "adead_letters",
    "apause",
    "aredeliver",
    "aremove",
    "aresume",
    "arotate",
    "asend_test",
    "astatus",
    "dead_letters",
    "pause",
    "redeliver",
    "remove",
    "resume",
    "rotate",
    "send_test",
    "status",
]

#: One value or several; None lets everything through.
Names: TypeAlias = str | Iterable[str] | None


def _names(value: Names) -> list[str] | None:
    return None if value is None else [value] if isinstance(value, str) else list(value)


def _networks(values: Iterable[str]) -> list[Network]:
    found = []
    for value in [values] if isinstance(values, str) else values:
        try:
            found.append(network(value))
        except ValueError as error:
            raise InvalidArgument(
                f"allow: {value!r} is no network: {error}", hint="write 10.0.0.0/8, or one address"
            ) from None
    return found


def _add(
    name: str,
    url: str,
    secret: str | None,
    watch: Names,
    group: Names,
    reason: Names,
    kind: Names,
    topic: Names,
    epoch: int | Iterable[int] | None,
    after: int | None,
    allow: Iterable[str],
    order_by: str,
    timeout: float | timedelta,
    max_body: int,
    max_attempts: int,
    backoff: float | timedelta,
    max_backoff: float | timedelta,
    concurrency: int,
    keep: float | timedelta,
    replace: bool,
) -> calls.Call[str]:
    networks = _networks(allow)
    check_url(url, networks)
    return calls.webhook.add(
        name,
        url,
        secret=secret,
        watch=_names(watch),
        group=_names(group),
        reason=_names(reason),
        kind=_names(kind),
        topic=_names(topic),
        epoch=None if epoch is None else [epoch] if isinstance(epoch, int) else list(epoch),
        after=after,
        allow=[str(each) for each in networks],
        order_by=order_by,
        timeout=calls.seconds(timeout, "timeout"),
        max_body=max_body,
        max_attempts=max_attempts,
        backoff=calls.seconds(backoff, "backoff"),
        max_backoff=calls.seconds(max_backoff, "max_backoff"),
        concurrency=concurrency,
        keep=calls.seconds(keep, "keep"),
        replace=replace,
    )


def add(
    target: Where,
    name: str,
    url: str,
    *,
    secret: str | None = None,
    watch: Names = None,
    group: Names = None,
    reason: Names = None,
    kind: Names = None,
    topic: Names = None,
    epoch: int | Iterable[int] | None = None,
    after: int | None = None,
    allow: Iterable[str] = (),
    order_by: str = "row",
    timeout: float | timedelta = 15.0,
    max_body: int = 65536,
    max_attempts: int = 10,
    backoff: float | timedelta = 5.0,
    max_backoff: float | timedelta = 43200.0,
    concurrency: int = 8,
    keep: float | timedelta = timedelta(days=30),
    replace: bool = False,
) -> str:
    """Sends events to a URL from now on, as soon as a dispatcher runs (`deliver`).

    Args:
        target: a psycopg or SQLAlchemy connection or a Session, in whose transaction it
            happens; or any other `recovery.Target`, where it is committed at once.
        name: 1 to 50 letters, digits, dots, dashes, underscores.
        url: https://…, without user and password.
        secret: ``whsec_`` and the base64 of 24 to 64 bytes; by default a new one.
        watch, group, reason, kind, topic, epoch: a value or several; an event must match each
            that is given.
        after: an event id: deliver everything above. None: from now on; 0: everything kept.
        allow: networks (``10.0.0.0/8``) that may be reached though they are private, and
            without TLS. Never from somebody who may not reach them himself.
        order_by: ``row``: events of one row come one after the other, a failing one holds
            up those of its row alone. ``group``: those of one group (session), too.
        timeout: seconds for one attempt, 1 to 300.
        max_body: bytes, 16384 to 16777216; of longer bodies the largest values are left out.
        max_attempts: after so many an event is a dead letter, 1 to 100.
        backoff: seconds after the first failure; each further pause is four times as long,
            give or take a half.
        max_backoff: seconds, the longest pause.
        concurrency: deliveries under way at the same time.
        keep: seconds for which dead letters are kept.
        replace: change the webhook of that name; its position, its secret (unless another is
            given) and what it has not got yet stay.

    Returns:
        The secret that deliveries are signed with.

    Raises:
        InvalidArgument: something can't be, or there is a webhook of that name (RC010).
        WatchUnknown: nothing is watched by that name (RC008).
        PermissionDenied: the role is not a member of recovery_server (42501).
    """
    call = _add(
        name, url, secret, watch, group, reason, kind, topic, epoch, after, allow, order_by,
        timeout, max_body, max_attempts, backoff, max_backoff, concurrency, keep, replace,
    )  # fmt: skip
    return do(target, call, "webhooks")


async def aadd(
    target: AsyncWhere,
    name: str,
    url: str,
    *,
    secret: str | None = None,
    watch: Names = None,
    group: Names = None,
    reason: Names = None,
    kind: Names = None,
    topic: Names = None,
    epoch: int | Iterable[int] | None = None,
    after: int | None = None,
    allow: Iterable[str] = (),
    order_by: str = "row",
    timeout: float | timedelta = 15.0,
    max_body: int = 65536,
    max_attempts: int = 10,
    backoff: float | timedelta = 5.0,
    max_backoff: float | timedelta = 43200.0,
    concurrency: int = 8,
    keep: float | timedelta = timedelta(days=30),
    replace: bool = False,
) -> str:
    """`add` on an async connection, or without blocking the event loop."""
    call = _add(
        name, url, secret, watch, group, reason, kind, topic, epoch, after, allow, order_by,
        timeout, max_body, max_attempts, backoff, max_backoff, concurrency, keep, replace,
    )  # fmt: skip
    return await ado(target, call, "webhooks")


def remove(target: Where, name: str) -> int:
    """Forgets a webhook with its dead letters.

    Returns:
        How many events it did not get.

    Raises:
        InvalidArgument: there is none of that name (RC010).
    """
    return do(target, calls.webhook.remove(name), "webhooks")


async def aremove(target: AsyncWhere, name: str) -> int:
    """`remove` on an async connection, or without blocking the event loop."""
    return await ado(target, calls.webhook.remove(name), "webhooks")


def pause(target: Where, name: str, because: str | None = None) -> None:
    """Sends a webhook nothing until `resume`; its events wait.

    Raises:
        InvalidArgument: there is none of that name (RC010).
    """
    do(target, calls.webhook.pause(name, because), "webhooks")


async def apause(target: AsyncWhere, name: str, because: str | None = None) -> None:
    """`pause` on an async connection, or without blocking the event loop."""
    await ado(target, calls.webhook.pause(name, because), "webhooks")


def resume(target: Where, name: str) -> None:
    """Goes on sending, and tries at once what has failed.

    Raises:
        InvalidArgument: there is none of that name (RC010).
    """
    do(target, calls.webhook.resume(name), "webhooks")


async def aresume(target: AsyncWhere, name: str) -> None:
    """`resume` on an async connection, or without blocking the event loop."""
    await ado(target, calls.webhook.resume(name), "webhooks")


def rotate(target: Where, name: str, secret: str | None = None, *, finish: bool = False) -> str:
    """Gives a webhook a new secret. Until the rotation is finished the old ones sign, too.

    Args:
        target: as of `add`.
        name: of the webhook.
        secret: the new one; by default it is made.
        finish: no new one; the newest alone signs from now on.

    Returns:
        The newest secret.

    Raises:
        InvalidArgument: no such webhook, a bad secret, or more than four (RC010).
    """
    return do(target, calls.webhook.rotate(name, secret, finish=finish), "webhooks")


async def arotate(
    target: AsyncWhere, name: str, secret: str | None = None, *, finish: bool = False
) -> str:
    """`rotate` on an async connection, or without blocking the event loop."""
    return await ado(target, calls.webhook.rotate(name, secret, finish=finish), "webhooks")


def redeliver(target: Where, name: str, events: Sequence[int] | None = None) -> int:
    """Sends dead letters again, with all attempts once more.

    Args:
        target: as of `add`.
        name: of the webhook.
        events: ids; also of what was delivered within the last day. None: all dead letters.

    Returns:
        How many.

    Raises:
        InvalidArgument: no such webhook, or it has no delivery of such an event (RC010).
    """
    return do(target, calls.webhook.redeliver(name, events), "webhooks")


async def aredeliver(target: AsyncWhere, name: str, events: Sequence[int] | None = None) -> int:
    """`redeliver` on an async connection, or without blocking the event loop."""
    return await ado(target, calls.webhook.redeliver(name, events), "webhooks")


def status(target: Where) -> list[Webhook]:
    """All webhooks: how far each is, and what its receiver says. For listeners, too.

    Raises:
        PermissionDenied: neither a member of recovery_server nor of recovery_listener (42501).
    """
    return do(target, calls.webhook.status(), "webhooks")


async def astatus(target: AsyncWhere) -> list[Webhook]:
    """`status` on an async connection, or without blocking the event loop."""
    return await ado(target, calls.webhook.status(), "webhooks")


def dead_letters(target: Where, name: str | None = None, *, limit: int = 1000) -> list[DeadLetter]:
    """The newest dead letters, of one webhook or of all.

    Raises:
        PermissionDenied: neither a member of recovery_server nor of recovery_listener (42501).
    """
    return do(target, calls.webhook.dead_letters(name, limit), "webhooks")


async def adead_letters(
    target: AsyncWhere, name: str | None = None, *, limit: int = 1000
) -> list[DeadLetter]:
    """`dead_letters` on an async connection, or without blocking the event loop."""
    return await ado(target, calls.webhook.dead_letters(name, limit), "webhooks")


def send_test(
    target: Where,
    name: str,
    *,
    resolver: Resolver | None = None,
    verify: ssl.SSLContext | None = None,
) -> Attempt:
    """Sends a signed message of type ``recovery.test``, once and at once.

    Args:
        target: as of `add`.
        name: of the webhook.
        resolver, verify: as of `Dispatcher`.

    Returns:
        What the receiver answered, or why there is no answer.

    Raises:
        InvalidArgument: there is none of that name (RC010), or httpx is missing.
    """
    receiver = do(target, calls.webhook.target(name), "webhooks")
    # In a thread: the caller may be in an event loop, which could run no other one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(
            lambda: asyncio.run(_send_test(receiver, name, resolver, verify))
        ).result()


async def asend_test(
    target: AsyncWhere,
    name: str,
    *,
    resolver: Resolver | None = None,
    verify: ssl.SSLContext | None = None,
) -> Attempt:
    """`send_test` on an async connection, or without blocking the event loop."""
    receiver = await ado(target, calls.webhook.target(name), "webhooks")
    return await _send_test(receiver, name, resolver, verify)


async def _send_test(
    receiver: Receiver, name: str, resolver: Resolver | None, verify: ssl.SSLContext | None
) -> Attempt:
    now = time.time()
    body = encode(
        {
            "type": "recovery.test",
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
            "attempt": 1,
            "current": None,
            "data": {"webhook": name},
        }
    )
    async with Sender(resolver=resolver, verify=verify) as sender:
        return await sender.send(
            receiver.url,
            signed(receiver.secrets, f"test-{uuid4().hex}", int(now), body),
            body,
            allow=_networks(receiver.allow),
            timeout=receiver.timeout,
        )
