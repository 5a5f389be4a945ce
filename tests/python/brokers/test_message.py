"""What is published of an event, and where to."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import recovery
from recovery.brokers.kafka import KafkaPublisher
from recovery.brokers.message import Template, message_id
from recovery.brokers.place import find, shown
from recovery.brokers.rabbitmq import RabbitPublisher
from recovery.types import Event

EVENT = Event(
    id=700,
    at=datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
    watch="public.job",
    kind="closed",
    topic=None,
    key="7",
    group="s 1",
    server_epoch=3,
    reason="lease_expired",
    detector="sweep:x",
    old={"status": "running"},
    new={"status": "failed"},
)


def subject(template: str, **changed: str | None) -> str:
    return Template(template).message(dataclasses.replace(EVENT, **changed)).subject  # type: ignore[arg-type]


def test_a_message_says_all_that_the_event_says() -> None:
    message = Template("recovery.{watch}.{kind}").message(EVENT)
    assert message.subject == "recovery.public.job.closed"
    assert message.row == "public.job:7"
    assert json.loads(message.body) == json.loads(EVENT.to_json())
    assert message.headers == {
        "recovery-id": "700-1772366400123456",
        "event-id": "700",
        "watch": "public.job",
        "kind": "closed",
        "key": "7",
        "at": "2026-03-01T12:00:00.123456+00:00",
        "group": "s 1",
    }


def test_an_id_that_is_given_out_again_is_another_message() -> None:
    """After a failover that lost events a new one may have the id of a lost one."""
    later = dataclasses.replace(EVENT, at=datetime(2026, 3, 1, 12, 0, 0, 123457, tzinfo=UTC))
    assert message_id(later) != message_id(EVENT) == message_id(dataclasses.replace(EVENT))


def test_subjects_have_no_sign_that_means_something_to_a_broker() -> None:
    assert subject("r.{watch}.{kind}", watch="my schema.jöb > *") == "r.my_schema.jöb____.closed"
    assert subject("r.{watch}", watch='a..b."$x"') == "r.a._.b.__x_"
    assert subject("r.{topic}.{reason}", topic="a b", reason=None) == "r.a_b.-"
    assert subject("r.{group}", group="") == "r.-"
    assert KafkaPublisher.name("a:b/jöb" + "x" * 300) == "a_b_j_b" + "x" * 242
    assert RabbitPublisher.name("ö" * 200) == "ö" * 127


def test_headers_stay_on_their_line_and_short() -> None:
    event = dataclasses.replace(EVENT, key="a\r\nNats-Msg-Id: 1", group="g" * 5000)
    headers = Template("r").message(event).headers
    assert headers["key"] == "a  Nats-Msg-Id: 1"
    assert len(headers["group"].encode()) <= 255
    event = dataclasses.replace(EVENT, group="ö" * 5000)
    assert len(Template("r").message(event).headers["group"].encode()) <= 255


def test_without_images_it_says_so() -> None:
    bare = Template("r").message(EVENT).without_images()
    assert json.loads(bare.body)["old"] is None
    assert json.loads(bare.body)["new"] == {"cut": "too large for the broker"}
    assert (bare.id, bare.row) == ("700-1772366400123456", "public.job:7")


@pytest.mark.parametrize(
    ("template", "because"),
    [
        ("recovery.{wach}", r"{wach} is not one of {watch}, {kind}, {topic}, {group}, {reason}"),
        ("recovery.{}", r"{} is not one of"),
        ("recovery.{watch!r}", r"{watch} is not one of"),
        ("recovery.{watch:>9}", r"{watch} is not one of"),
        ("recovery.{watch", "expected '}'"),
        ("{watch}.{kind}", "begin with a word"),
        ("", "begin with a word"),
        ("a b.{kind}", "use letters"),
        ("recovery.>", "use letters"),
        ("recovery..{kind}", "an empty part"),
        ("recovery.{kind}.", "an empty part"),
    ],
)
def test_a_subject_that_cannot_be(template: str, because: str) -> None:
    with pytest.raises(recovery.InvalidArgument, match=re.escape(because)):
        Template(template)


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("nat://localhost", "'nat://localhost' is no URL of a broker; it begins with nats://"),
        ("localhost:4222", "'localhost:4222' is no URL of a broker"),
        ("", "is no URL of a broker"),
        ("nats:/localhost", "is no URL of a broker"),
        ("nats://", "the host is missing"),
        ("nats://u:secret@", "the host is missing"),
        ("nats://localhost:port", "the port is not a number"),
        ("nats://localhost:4222/recovery", "a URL of nats ends after host and port"),
        ("kafka://a:9092,b:x", "the port is not a number"),
        ("kafka://a", "Kafka needs host and port"),
        ("kafka://a:9092?acks=0", "a URL of kafka ends after host and port"),
        ("redis://localhost/none", "a database of Redis is a number"),
        ("postgresql://u:secret@h/db", "'postgresql://h/db' is no URL of a broker"),
    ],
)
def test_a_url_that_cannot_be(url: str, because: str) -> None:
    with pytest.raises(recovery.InvalidArgument, match=re.escape(because)) as caught:
        find(url, 5.0)
    assert "secret" not in str(caught.value)


def test_a_place_is_shown_without_its_password() -> None:
    assert shown("nats://u:p@a:1,u:p@b:2") == "nats://a:1,b:2"
    assert shown("redis://:p@a:1/0?x=p") == "redis://a:1/0"
    assert shown("amqp://u:p%40@a/v") == "amqp://a/v"


def test_a_broker_of_something_else_is_refused() -> None:
    with pytest.raises(
        recovery.InvalidArgument, match=r"object is not a broker of faststream.nats"
    ):
        find(object, 5.0)


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("nats://localhost", "faststream", "nats"),
        ("nats://localhost", "nats", "nats"),
        ("amqp://localhost", "aio_pika", "rabbit"),
        ("redis://localhost", "redis", "redis"),
        ("kafka://localhost:9092", "aiokafka", "kafka"),
    ],
)
def test_what_is_not_installed_is_named(url: str, module: str, extra: str) -> None:
    """In a process of its own, where the package can't be imported."""
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        f"from recovery.brokers import Relay\n"
        f"Relay('', {url!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment()
    )
    assert f'{extra} needs more packages: pip install "pg-recovery[{extra}]"' in done.stderr


def environment() -> dict[str, str]:
    root = str(Path(recovery.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root}
