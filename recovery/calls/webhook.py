"""Webhooks: where events are sent by HTTP, and what is to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from recovery.calls.core import Call, Row, nothing, one
from recovery.types import from_json

__all__ = [
    "DeadLetter",
    "Delivery",
    "Due",
    "Outcome",
    "Recorded",
    "Target",
    "Webhook",
    "add",
    "claim",
    "collect",
    "current",
    "dead_letters",
    "due",
    "pause",
    "prune",
    "record",
    "redeliver",
    "remove",
    "resume",
    "rotate",
    "status",
    "target",
]


@dataclass(frozen=True)
class Webhook:
    """One line of ``recovery.webhook_status``: a webhook, how far it is, what its receiver says."""

    name: str
    url: str
    state: str  #: active, failing, down (five failures or more in a row), paused
    filters: Mapping[str, Any]
    behind: int | None  #: events that nobody has collected for it yet, about
    lag: timedelta | None  #: age of the oldest of them
    unfinished: int  #: events that are neither delivered nor dead letters
    dead: int  #: dead letters
    delivered: datetime | None
    tried: datetime | None
    error: str | None  #: of the last attempt, if it has failed
    failures: int
    paused: datetime | None
    paused_because: str | None
    allow: tuple[str, ...]
    order_by: str
    timeout: timedelta
    max_body: int
    max_attempts: int
    backoff: timedelta
    max_backoff: timedelta
    concurrency: int
    keep: timedelta
    secrets: int  #: how many it has: more than one while it is rotated
    created: datetime


@dataclass(frozen=True)
class DeadLetter:
    """An event that the receiver of a webhook did not take, however often it was sent."""

    webhook: str
    event: int
    at: datetime
    watch: str
    kind: str
    key: str
    group: str | None
    attempts: int
    status: int | None
    error: str | None
    died: datetime


@dataclass(frozen=True)
class Target:
    """Where and how a webhook is sent to."""

    url: str
    secrets: tuple[str, ...]
    allow: tuple[str, ...]
    timeout: float
    max_body: int

    def __repr__(self) -> str:  # without the secrets
        return f"Target({self.url!r})"


@dataclass(frozen=True)
class Delivery:
    """An event that is to be sent now."""

    event: int
    attempt: int
    watch: str
    kind: str
    key: str
    body: Mapping[str, Any]
    target: Target


@dataclass(frozen=True)
class Due:
    """A webhook that is not paused."""

    name: str
    seconds: float | None  #: until it has something to send; None: nothing waits
    free: int  #: deliveries that may begin
    fresh: bool  #: there may be something to collect for it


@dataclass(frozen=True)
class Outcome:
    """What became of a claimed delivery."""

    event: int
    claim: UUID
    status: int | None
    error: str | None
    took: float
    retry_after: float | None


@dataclass(frozen=True)
class Recorded:
    """What a delivery is after that: delivered, dead, or pending, and in how many seconds."""

    event: int
    state: str
    seconds: float | None


def add(
    name: str,
    url: str,
    *,
    secret: str | None = None,
    watch: Sequence[str] | None = None,
    group: Sequence[str] | None = None,
    reason: Sequence[str] | None = None,
    kind: Sequence[str] | None = None,
    topic: Sequence[str] | None = None,
    epoch: Sequence[int] | None = None,
    after: int | None = None,
    allow: Sequence[str] = (),
    order_by: str = "row",
    timeout: timedelta = timedelta(seconds=15),
    max_body: int = 65536,
    max_attempts: int = 10,
    backoff: timedelta = timedelta(seconds=5),
    max_backoff: timedelta = timedelta(hours=12),
    concurrency: int = 8,
    keep: timedelta = timedelta(days=30),
    replace: bool = False,
) -> Call[str]:
    """Adds a webhook; the secret that it signs with. RC008, RC010."""
    return Call(
        "select recovery.add_webhook(%(name)s::text, %(url)s::text, p_secret => %(secret)s::text,"
        " p_watch => %(watch)s::text[], p_group => %(group)s::text[],"
        " p_reason => %(reason)s::text[], p_kind => %(kind)s::text[],"
        " p_topic => %(topic)s::text[], p_epoch => %(epoch)s::bigint[],"
        " p_after => %(after)s::bigint, p_allow => %(allow)s::text[]::cidr[],"
        " p_order_by => %(order_by)s::text, p_timeout => %(timeout)s::interval,"
        " p_max_body => %(max_body)s::integer, p_max_attempts => %(max_attempts)s::integer,"
        " p_backoff => %(backoff)s::interval, p_max_backoff => %(max_backoff)s::interval,"
        " p_concurrency => %(concurrency)s::integer, p_keep => %(keep)s::interval,"
        " p_replace => %(replace)s::boolean)",
        {
            "name": name,
            "url": url,
            "secret": secret,
            "watch": None if watch is None else list(watch),
            "group": None if group is None else list(group),
            "reason": None if reason is None else list(reason),
            "kind": None if kind is None else list(kind),
            "topic": None if topic is None else list(topic),
            "epoch": None if epoch is None else list(epoch),
            "after": after,
            "allow": list(allow),
            "order_by": order_by,
            "timeout": timeout,
            "max_body": max_body,
            "max_attempts": max_attempts,
            "backoff": backoff,
            "max_backoff": max_backoff,
            "concurrency": concurrency,
            "keep": keep,
            "replace": replace,
        },
        one,
    )


def remove(name: str) -> Call[int]:
    """Forgets a webhook; how many events it did not get. RC010."""
    return Call("select recovery.remove_webhook(%(name)s::text)", {"name": name}, one)


def pause(name: str, because: str | None = None) -> Call[None]:
    """Sends it nothing until it is resumed. RC010."""
    return Call(
        "select recovery.pause_webhook(%(name)s::text, %(because)s::text)",
        {"name": name, "because": because},
        nothing,
    )


def resume(name: str) -> Call[None]:
    """Goes on sending, and tries at once what has failed. RC010."""
    return Call("select recovery.resume_webhook(%(name)s::text)", {"name": name}, nothing)


def rotate(name: str, secret: str | None = None, *, finish: bool = False) -> Call[str]:
    """Gives it a new secret beside the old ones, or takes these away; the newest. RC010."""
    return Call(
        "select recovery.rotate_webhook(%(name)s::text, %(secret)s::text, %(finish)s::boolean)",
        {"name": name, "secret": secret, "finish": finish},
        one,
    )


def redeliver(name: str, events: Sequence[int] | None = None) -> Call[int]:
    """Sends dead letters again (all, or these events); how many. RC010."""
    return Call(
        "select recovery.redeliver(%(name)s::text, %(events)s::bigint[])",
        {"name": name, "events": None if events is None else list(events)},
        one,
    )


def _webhook(
    name: str, url: str, state: str, filters: Any, behind: int | None, lag: Any, *rest: Any
) -> Webhook:
    values: list[Any] = [name, url, state, from_json(filters) or {}, behind, lag, *rest]
    values[14] = tuple(values[14])  # allow
    return Webhook(*values)


def status() -> Call[list[Webhook]]:
    """All webhooks, without their secrets."""
    return Call(
        "select name, url, state, filters::text, behind, lag, unfinished, dead, delivered, tried,"
        " error, failures, paused, paused_because, allow::text[], order_by, timeout, max_body,"
        " max_attempts, backoff, max_backoff, concurrency, keep, secrets, created"
        " from recovery.webhook_status order by name",
        {},
        lambda rows: [_webhook(*row) for row in rows],
    )


def dead_letters(name: str | None = None, limit: int = 1000) -> Call[list[DeadLetter]]:
    """The newest dead letters, of one webhook or of all."""
    return Call(
        "select webhook, event, at, watch, kind, key, group_key, attempts, status, error, died"
        " from recovery.dead_letter where %(name)s::text is null or webhook = %(name)s::text"
        " order by died desc, event desc limit %(limit)s::bigint",
        {"name": name, "limit": limit},
        lambda rows: [DeadLetter(*row) for row in rows],
    )


def _target(row: Row) -> Target:
    url, secrets, allow, timeout, max_body = row
    return Target(url, tuple(secrets), tuple(allow), timeout.total_seconds(), max_body)


def target(name: str) -> Call[Target]:
    """Where it is sent to, with its secrets. RC010."""
    return Call(
        "select url, secrets, allow::text[], timeout, max_body"
        " from recovery.webhook_target(%(name)s::text)",
        {"name": name},
        lambda rows: _target(rows[0]),
    )


def due() -> Call[list[Due]]:
    """The webhooks that are not paused, the most urgent first."""
    return Call(
        "select name, extract(epoch from due_in)::float8, free, fresh from recovery.due_webhooks()",
        {},
        lambda rows: [Due(*row) for row in rows],
    )


def collect(name: str, limit: int = 1000) -> Call[int]:
    """Takes the next events of its consumer; how many."""
    return Call(
        "select recovery.collect_deliveries(%(name)s::text, %(limit)s::integer)",
        {"name": name, "limit": limit},
        one,
    )


def _delivery(
    event: int, attempt: int, watch: str, kind: str, key: str, body: Any, *target: Any
) -> Delivery:
    return Delivery(event, attempt, watch, kind, key, from_json(body), _target(target))


def claim(name: str, claim: UUID, limit: int) -> Call[list[Delivery]]:
    """What is to be sent for it now."""
    return Call(
        "select event, attempt, watch, kind, key, body::text, url, secrets, allow::text[], timeout,"
        " max_body from recovery.claim_deliveries("
        "%(name)s::text, %(claim)s::uuid, %(limit)s::integer)",
        {"name": name, "claim": claim, "limit": limit},
        lambda rows: [_delivery(*row) for row in rows],
    )


def record(name: str, outcomes: Sequence[Outcome]) -> Call[list[Recorded]]:
    """What became of claimed deliveries, and what they are now."""
    return Call(
        "select event, state, extract(epoch from next_in)::float8 from recovery.record_deliveries("
        "%(name)s::text, %(events)s::bigint[], %(claims)s::uuid[], %(statuses)s::integer[],"
        " %(errors)s::text[], %(took)s::interval[], %(after)s::interval[])",
        {
            "name": name,
            "events": [each.event for each in outcomes],
            "claims": [each.claim for each in outcomes],
            "statuses": [each.status for each in outcomes],
            "errors": [each.error for each in outcomes],
            "took": [timedelta(seconds=each.took) for each in outcomes],
            "after": [
                None if each.retry_after is None else timedelta(seconds=each.retry_after)
                for each in outcomes
            ],
        },
        lambda rows: [Recorded(*row) for row in rows],
    )


def current(watch: str, scope: str, keys: Sequence[str]) -> Call[tuple[datetime, list[str]]]:
    """When it looked, and what rows or groups are: open, closed, deleted, unknown, as the keys."""
    return Call(
        "select clock_timestamp(),"
        " recovery.current_states(%(watch)s::text, %(scope)s::text, %(keys)s::text[])",
        {"watch": watch, "scope": scope, "keys": list(keys)},
        lambda rows: (rows[0][0], list(rows[0][1])),
    )


def prune(limit: int = 5000) -> Call[int]:
    """Forgets what is old; how many."""
    return Call("select recovery.prune_deliveries(%(limit)s::integer)", {"limit": limit}, one)
