"""Where to publish: a URL, or a function that makes a FastStream broker."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from recovery.brokers.publisher import Publisher
from recovery.errors import InvalidArgument

__all__ = ["Found", "Place", "find", "secrets", "shown"]

#: ``nats://``, ``amqp://``, ``redis://`` or ``kafka://``; or what makes a FastStream broker.
Place: TypeAlias = str | Callable[[], Any]

_SCHEMES = {
    "nats": "nats",
    "tls": "nats",
    "amqp": "rabbit",
    "amqps": "rabbit",
    "redis": "redis",
    "rediss": "redis",
    "kafka": "kafka",
}
_CLASSES = {
    "nats": ("recovery.brokers.nats", "NatsPublisher"),
    "rabbit": ("recovery.brokers.rabbitmq", "RabbitPublisher"),
    "redis": ("recovery.brokers.redis", "RedisPublisher"),
    "kafka": ("recovery.brokers.kafka", "KafkaPublisher"),
}
#: The drivers of FastStream, whose absence means that an extra is missing.
_DRIVERS = {"faststream", "nats", "aio_pika", "aiormq", "pamqp", "redis", "aiokafka"}


@dataclass(frozen=True, slots=True)
class Found:
    """How to publish somewhere.

    Attributes:
        publisher: the class that does it.
        make: makes a FastStream broker that is not connected.
        hosts: where it would connect to, as far as that is known.
    """

    publisher: type[Publisher]
    make: Callable[[], Any]
    hosts: tuple[str, ...]


def find(place: Place, patience: float) -> Found:
    """What publishes there; connects to nothing.

    Raises:
        InvalidArgument: the URL can't be one, or the packages are missing (RC010).
    """
    hosts: tuple[str, ...] = ()
    if isinstance(place, str):
        parts = _split(place)
        hosts = tuple(parts.netloc.split(","))
        kind = _SCHEMES[parts.scheme]
        make: Callable[[], Any] = partial(_MAKERS[kind], place, parts, patience)
    else:
        make, kind = place, ""
    try:
        broker = make()
        kind = kind or _kind(broker)
        module, name = _CLASSES[kind]
        class_: type[Publisher] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _DRIVERS:
            raise
        extra = kind or "brokers"
        raise InvalidArgument(
            f'{extra} needs more packages: pip install "pg-recovery[{extra}]"'
        ) from error
    except ImportError as error:  # FastStream's own word for a driver that is missing
        raise InvalidArgument(
            f'{kind} needs more packages: pip install "pg-recovery[{kind}]"'
        ) from error
    except ValueError as error:
        raise InvalidArgument(f"{shown(place)}: {error}") from error
    return Found(class_, make, hosts)


def shown(place: Place) -> str:
    """The place as a message may show it: without user, password and options."""
    if not isinstance(place, str):
        return "the broker"
    scheme, colon, rest = place.rpartition("://")
    hosts = rest.partition("?")[0].split(",")
    return scheme + colon + ",".join(host.rpartition("@")[2] for host in hosts)


def secrets(place: Place) -> set[str]:
    """What of the place no message may show."""
    if not isinstance(place, str):
        return set()
    users = [host.rpartition("@")[0] for host in urlsplit(place).netloc.split(",")]
    # NATS takes a token in the place of the user.
    words = [user.partition(":")[2] or user for user in users]
    return {form for word in words if word for form in (word, unquote(word))}


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    where = shown(url)
    if "://" not in url or parts.scheme not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise InvalidArgument(f"{where or url!r} is no URL of a broker; it begins with {known}")
    if not parts.netloc.rpartition("@")[2].partition(":")[0]:
        raise InvalidArgument(f"{where}: the host is missing")
    kind = _SCHEMES[parts.scheme]
    for host in parts.netloc.split(","):
        _, colon, port = host.rpartition("@")[2].rpartition("]")[2].rpartition(":")
        if colon and not port.isdigit():
            raise InvalidArgument(f"{where}: the port is not a number")
        if kind == "kafka" and not colon:
            raise InvalidArgument(f"{where}: Kafka needs host and port of each")
    path = parts.path.strip("/")
    if kind in ("nats", "kafka") and (path or parts.query):
        raise InvalidArgument(f"{where}: a URL of {kind} ends after host and port")
    if kind == "redis" and path and not path.isdigit():
        raise InvalidArgument(f"{where}: a database of Redis is a number")
    return parts


def _kind(broker: Any) -> str:
    """Which kind of FastStream broker it is, by its class or one above."""
    for class_ in type(broker).__mro__:
        package, _, rest = class_.__module__.partition(".")
        kind = rest.partition(".")[0]
        if package == "faststream" and kind in _CLASSES:
            return kind
    known = ", ".join(f"faststream.{kind}" for kind in _CLASSES)
    raise InvalidArgument(f"{type(broker).__name__} is not a broker of {known}")


def _nats(url: str, parts: SplitResult, patience: float) -> Any:
    from faststream.nats import NatsBroker

    # The relay connects anew by itself: a driver that tries for minutes would say nothing.
    servers = [f"{parts.scheme}://{host}" for host in parts.netloc.split(",")]
    return NatsBroker(
        servers,
        name="pg-recovery",
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=0,
        connect_timeout=max(1, round(patience / 2)),
        error_cb=_ignore,
        logger=None,
    )


def _rabbit(url: str, parts: SplitResult, patience: float) -> Any:
    from faststream.rabbit import Channel, RabbitBroker

    return RabbitBroker(
        url,
        app_id="pg-recovery",
        default_channel=Channel(publisher_confirms=True, on_return_raises=True),
        fail_fast=True,
        timeout=patience,
        reconnect_interval=patience,
        logger=None,
    )


def _redis(url: str, parts: SplitResult, patience: float) -> Any:
    from faststream.redis import RedisBroker

    return RedisBroker(
        url,
        socket_timeout=patience,
        socket_connect_timeout=patience / 2,
        logger=None,  # type: ignore[arg-type]  # as for the others, only not declared
    )


def _kafka(url: str, parts: SplitResult, patience: float) -> Any:
    from faststream.kafka import KafkaBroker

    return KafkaBroker(
        parts.netloc.split(","),
        client_id="pg-recovery",
        enable_idempotence=True,
        request_timeout_ms=round(patience * 1000),
        logger=None,
    )


async def _ignore(error: Exception) -> None:
    """Errors of a connection reach whoever waits for an answer."""


_MAKERS = {"nats": _nats, "rabbit": _rabbit, "redis": _redis, "kafka": _kafka}
