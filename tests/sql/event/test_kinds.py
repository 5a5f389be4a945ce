"""Who asks for a kind of event that there is not would wait for ever: he is told so."""

from __future__ import annotations

import re

import psycopg
import pytest

import recovery
from recovery import calls
from recovery.asgi import Hub, anyone
from recovery.cli.choices import Kind
from recovery.events.bus import Bus
from sql.jobs import Connection, refused, value

ASKING = {
    "create_consumer": "recovery.create_consumer('c', p_kind => %s)",
    "add_webhook": "recovery.add_webhook('hook', 'https://example.com/', p_kind => %s)",
    "read": "recovery.read(p_kind => %s)",
    "latest": "recovery.latest(p_kind => %s)",
}


@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_an_unknown_kind_is_refused(jobs: Connection, asking: str) -> None:
    with pytest.raises(psycopg.Error, match="there are no events of kind 'close'") as caught:
        jobs.execute(f"select {asking}".encode(), (["closed", "close"],))
    assert caught.value.sqlstate == "RC010"
    assert caught.value.diag.message_hint == f"Kinds are {', '.join(calls.event.KINDS)}."
    assert value(jobs, "select count(*) from recovery.consumer") == 0
    assert value(jobs, "select count(*) from recovery.webhook") == 0
    for kinds in (list(calls.event.KINDS), ["gap"], [], None):
        jobs.execute(
            f"select {asking.replace(')', ', p_replace => true)') if 'webhook' in asking else asking}".encode(),
            (kinds,),
        )


def test_a_consumer_keeps_its_filters(jobs: Connection) -> None:
    jobs.execute("select recovery.create_consumer('c', p_kind => '{closed}')")
    with refused("RC010", "no events of kind"):
        jobs.execute("select recovery.create_consumer('c', p_kind => '{done}')")
    assert value(jobs, "select (wanted).kind from recovery.consumer") == ["closed"]


def test_where_the_database_is_not_asked() -> None:
    with pytest.raises(recovery.InvalidArgument, match="no events of kind 'close'"):
        Bus().subscribe(kind="close")
    with pytest.raises(recovery.InvalidArgument, match="no events of kind 'close'"):
        Hub("").events(authorize=anyone, kind=["closed", "close"])


def test_all_know_the_same_kinds(jobs: Connection) -> None:
    assert [kind.value for kind in Kind] == list(calls.event.KINDS)
    source = value(jobs, "select prosrc from pg_proc where proname = '_check_kinds'")
    told = re.search(r"array\[(.*?)\]", source, re.DOTALL)
    assert told is not None
    assert re.findall(r"'(\w+)'", told[1]) == list(calls.event.KINDS)
