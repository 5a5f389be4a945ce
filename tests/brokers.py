"""Real brokers on this machine, each as a process of its own that ends with its owner.

NATS, RabbitMQ and Redis are Debian's. Kafka is not to be had there: what answers in its place is
the cluster that librdkafka brings for its own tests, which speaks the protocol over TCP, and
keeps nothing when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil

from helpers import wait_for
from recovery.cluster import _free_port

_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/usr/lib/rabbitmq/bin"]
)
# It ends with its owner, however that ends: only the owner holds the pipe.
_KEPT = """
"$@" </dev/null & pid=$!
echo "$pid"
exec >/dev/null
cat
kill -TERM "$pid" 2>/dev/null; kill -CONT "$pid" 2>/dev/null  # it may be frozen
wait "$pid"
"""


@dataclass(frozen=True)
class Received:
    """A message as a consumer of the broker gets it."""

    id: str
    subject: str
    headers: Mapping[str, str]
    event: dict[str, Any]


class Broker:
    """A broker on a free port, with what it keeps in a folder of its own."""

    #: Its name in pytest, and the program that it needs.
    NAME: ClassVar[str]
    PROGRAM: ClassVar[str]
    #: Where it is had.
    SOURCE: ClassVar[str] = "apt-get install"
    #: Whether it drops a message whose id it has seen, and keeps messages over a restart.
    DROPS: ClassVar[bool] = False
    KEEPS: ClassVar[bool] = True

    def __init__(self) -> None:
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @classmethod
    def missing(cls) -> str | None:
        """Why it can't be started here, if it can't."""
        if shutil.which(cls.PROGRAM, path=_PATH) is None:
            return f"no {cls.PROGRAM}: {cls.SOURCE} {cls.PROGRAM}"
        return None

    @classmethod
    def program(cls) -> str:
        """Where the program is."""
        return str(shutil.which(cls.PROGRAM, path=_PATH))

    @property
    def url(self) -> str:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="broker-"))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Starts it, with what it kept."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _KEPT, "sh", *self.command()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                start_new_session=True,
            )
        assert self._process.stdout is not None
        self._pid = int(self._process.stdout.readline())
        wait_for(self._answers, 60, interval=0.05, what=f"{self.NAME} answers")

    def stop(self) -> None:
        """Ends it, in order."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()  # closes the pipe

    def kill(self) -> None:
        """kill -9."""
        self._signal(signal.SIGKILL)
        self.stop()

    def freeze(self, still: bool) -> None:
        """SIGSTOP, or SIGCONT: it keeps its connections and says nothing."""
        self._signal(signal.SIGSTOP if still else signal.SIGCONT)

    def _signal(self, number: int) -> None:
        program = psutil.Process(self._pid)
        for process in [program, *program.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() != "epmd":  # Erlang's daemon goes on
                    process.send_signal(number)

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return self.ready()

    def ready(self) -> bool:
        """Whether it does more than to accept a connection."""
        return True

    def prepare(self, name: str = "recovery") -> None:
        """Makes what only a consumer makes: without it there is nowhere to publish to."""

    def received(self, name: str = "recovery") -> list[Received]:
        """All that it has below a name, in its order, duplicates and all.

        Args:
            name: of the stream and exchange, and the first word of each subject.
        """
        return asyncio.run(self.read(name))

    async def read(self, name: str) -> list[Received]:
        raise NotImplementedError


class Nats(Broker):
    NAME, PROGRAM, DROPS = "nats", "nats-server", True

    def __init__(self, max_payload: str = "1MB") -> None:
        super().__init__()
        self._max_payload = max_payload

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        (self.folder / "nats.conf").write_text(
            f"listen: 127.0.0.1:{self.port}\n"
            f'jetstream {{ store_dir: "{self.folder}/store" }}\n'
            f"max_payload: {self._max_payload}\n"
        )
        return [self.program(), "-c", str(self.folder / "nats.conf")]

    async def read(self, name: str) -> list[Received]:
        import nats

        client = await nats.connect(self.url)
        try:
            jetstream = client.jetstream()
            try:
                there = (await jetstream.stream_info(name)).state.messages
            except nats.js.errors.NotFoundError:
                return []
            subscription = await jetstream.subscribe("", stream=name, ordered_consumer=True)
            found = []
            while len(found) < there:
                message = await subscription.next_msg(timeout=10)
                headers = dict(message.headers or {})
                found.append(
                    Received(
                        headers["Nats-Msg-Id"], message.subject, headers, json.loads(message.data)
                    )
                )
            return found
        finally:
            await client.close()


class Redis(Broker):
    NAME, PROGRAM = "redis", "redis-server"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        return [
            self.program(),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
        ]

    def ready(self) -> bool:
        import redis

        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:  # it loads what it kept
                return False

    async def read(self, name: str) -> list[Received]:
        import redis

        found = []
        with redis.Redis(port=self.port, decode_responses=True) as client:
            for key in client.scan_iter(f"{name}.*", _type="stream"):
                for entry, fields in client.xrange(key):
                    found.append(
                        (
                            tuple(map(int, entry.split("-"))),
                            Received(
                                fields["recovery-id"], key, fields, json.loads(fields["__data__"])
                            ),
                        )
                    )
        return [received for _, received in sorted(found, key=lambda pair: pair[0])]


class RabbitMQ(Broker):
    NAME, PROGRAM = "rabbitmq", "rabbitmq-server"

    def __init__(self) -> None:
        super().__init__()
        self._ports = [_free_port(), _free_port()]

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def command(self) -> Sequence[str]:
        # Debian's own in /usr/sbin would change to the account rabbitmq and its folders.
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    @classmethod
    def missing(cls) -> str | None:
        if not Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists():
            return "no rabbitmq-server: apt-get install rabbitmq-server"
        return None

    def environment(self) -> dict[str, str]:
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "none.conf").touch()
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._ports[0]),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_DIST_PORT": str(self._ports[1]),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODENAME": f"t{self.port}@localhost",
        }

    def ready(self) -> bool:
        async def connected() -> bool:
            import aio_pika

            try:
                await (await aio_pika.connect(self.url)).close()
            except (aio_pika.exceptions.AMQPError, OSError):
                return False
            return True

        return asyncio.run(connected())

    def __exit__(self, *_: object) -> None:
        # epmd is a daemon that Erlang starts, and does not end.
        environment = {**os.environ, **self.environment()}
        self.stop()
        subprocess.run(["epmd", "-kill"], env=environment, capture_output=True, check=False)
        shutil.rmtree(self.folder)

    def prepare(self, name: str = "recovery") -> None:
        async def bind() -> None:
            import aio_pika

            async with await aio_pika.connect(self.url) as connection:
                channel = await connection.channel()
                exchange = await channel.declare_exchange(name, "topic", durable=True)
                queue = await channel.declare_queue(name, durable=True)
                await queue.bind(exchange, "#")

        asyncio.run(bind())

    async def read(self, name: str) -> list[Received]:
        import aio_pika

        found = []
        async with await aio_pika.connect(self.url) as connection:
            queue = await (await connection.channel()).get_queue(name)
            # Not acknowledged: when the connection ends, they are there again, in their order.
            while (message := await queue.get(no_ack=False, fail=False)) is not None:
                found.append(
                    Received(
                        message.message_id or "",
                        message.routing_key or "",
                        {key: str(value) for key, value in message.headers.items()},
                        json.loads(message.body),
                    )
                )
        return found


class Kafka(Broker):
    """librdkafka's cluster for tests."""

    NAME, PROGRAM, SOURCE, KEEPS = "kafka", "confluent-kafka", "pip install", False
    _CODE = (
        "import sys, time; from confluent_kafka import Producer\n"
        "made = Producer({'bootstrap.servers': 'none', 'test.mock.num.brokers': 1})\n"
        "[one] = made.list_topics(timeout=30).brokers.values()\n"
        "open('port', 'w').write(str(one.port)); time.sleep(3600)"
    )

    @classmethod
    def missing(cls) -> str | None:
        import importlib.util

        return None if importlib.util.find_spec("confluent_kafka") else "no confluent-kafka"

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self._CODE]

    def _answers(self) -> bool:
        port = self.folder / "port"
        if not port.exists() or not port.read_text():
            return False
        self.port = int(port.read_text())
        return super()._answers()

    async def read(self, name: str) -> list[Received]:
        import confluent_kafka as kafka

        consumer = kafka.Consumer(
            {
                "bootstrap.servers": f"127.0.0.1:{self.port}",
                "group.id": f"test-{time.monotonic_ns()}",
                "enable.partition.eof": True,
            }
        )
        try:
            topics = consumer.list_topics(timeout=10).topics
            parts = [
                kafka.TopicPartition(topic.topic, part, kafka.OFFSET_BEGINNING)
                for topic in topics.values()
                if topic.topic.startswith(f"{name}.")
                for part in topic.partitions
            ]
            consumer.assign(parts)
            found, ended = [], 0
            while ended < len(parts):
                message = consumer.poll(10)
                assert message is not None, "the cluster gives no answer"
                if message.error() is not None:
                    ended += 1
                    continue
                headers = {key: value.decode() for key, value in message.headers()}
                found.append(
                    Received(
                        headers["recovery-id"],
                        message.topic(),
                        headers | {"kafka-key": message.key().decode()},
                        json.loads(message.value()),
                    )
                )
            return found
        finally:
            consumer.close()


BROKERS: dict[str, type[Broker]] = {one.NAME: one for one in (Nats, Redis, RabbitMQ, Kafka)}
