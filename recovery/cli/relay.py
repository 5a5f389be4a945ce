"""`recovery relay`: events to a broker."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Annotated, Any

import typer

from recovery.cli import target
from recovery.cli.choices import Dsn, Kind

__all__ = ["relay"]


def relay(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="nats://HOST:PORT, amqp://USER:PASSWORD@HOST/VHOST, redis://HOST/DB or"
            " kafka://HOST:PORT,HOST:PORT; tls://, amqps://, rediss:// with TLS.",
            envvar="RECOVERY_BROKER",
            show_envvar=True,
        ),
    ],
    name: Annotated[str, typer.Option(help="Of the consumer: its position is kept.")] = "relay",
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="NATS subject, routing key, key of the Redis stream or Kafka topic; with {watch},"
            " {kind}, {topic}, {group}, {reason}.",
        ),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(help="JetStream stream or RabbitMQ exchange; made if it is missing."),
    ] = None,
    watch: Annotated[list[str] | None, typer.Option(help="Only these watches.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Only these groups (sessions).")] = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="Only these kinds.")] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="superseded, lease_expired, shutdown …")
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(help="Where a new NAME begins: after this id; 0: all; else now.", min=0),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many events at a time.", min=1)] = 1000,
    maxlen: Annotated[
        int | None, typer.Option(help="Redis keeps about so many entries; else all.", min=1)
    ] = None,
    dsn: Dsn = None,
) -> None:
    """Publishes events to a broker, until Ctrl-C: NATS JetStream, RabbitMQ, Redis streams, Kafka.

    Each at least once, in order for each row, with an id to drop duplicates by. What was not
    confirmed is published when the broker, or this command, is there again.
    """
    from recovery.brokers.relay import Relay

    for handler in logging.root.handlers:
        # What the drivers log in their own words, the relay says in one line.
        handler.addFilter(logging.Filter("recovery"))
    filters: dict[str, Any] = {"watch": watch, "group": group, "kind": kind, "reason": reason}
    running = Relay(
        target.database(dsn),
        url,
        name=name,
        subject=subject,
        stream=stream,
        after=after,
        limit=limit,
        maxlen=maxlen,
        **{option: values for option, values in filters.items() if values},
    )
    print(f"{name}: {running}", flush=True)
    asyncio.run(_run(running))


async def _run(running: Any) -> None:
    # Ctrl-C cancels; who stops services says TERM, and waits.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.stop)
    await running.arun()
