"""A real EventSource, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import recovery
from agent_store import stores
from python.asgi.browser import Browser, needs_browser
from python.asgi.conftest import Process
from python.asgi.test_agent import agent_run
from recovery import calls, opencode
from sql.jobs import value

pytestmark = [pytest.mark.majors("newest"), needs_browser]
Connection = psycopg.Connection[Any]

#: What is no heartbeat.
ROWS = "got.filter(one => !one.data.type.startsWith('server.'))"


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


def types(browser: Browser) -> list[str]:
    found: list[str] = browser.value(f"{ROWS}.map(one => one.data.type)")
    return found


def test_a_page_hears_of_a_crash(
    dsn: str, conn: Connection, process: Callable[..., Process], browser: Browser
) -> None:
    store, expect = stores.load("task-subagent")
    opencode.load_store(conn, store)
    server = process()
    browser.open(server.url)
    browser.wait("window.got?.length")
    assert browser.value("got[0].data.type") == "server.connected"
    calls.run(conn, calls.server.boot("opencode", lease=timedelta(seconds=15)))
    messages, parts = stores.orphan_ids(expect)
    sessions = len({m["session_id"] for m in store["message"] if m["id"] in messages})
    browser.wait(f"{ROWS}.filter(one => one.data.type === 'session.idle').length === {sessions}")
    found = types(browser)
    assert found.count("message.part.updated") == len(parts)
    assert found.count("message.updated") == len(messages)
    assert found.count("session.error") == sessions


def test_p09_it_connects_again_by_itself_and_misses_nothing(
    dsn: str, conn: Connection, process: Callable[..., Process], browser: Browser
) -> None:
    """P9: the server is killed, twice, and work ends while it is away."""
    server = process()
    browser.open(server.url)
    browser.wait("window.got?.length")
    epoch = recovery.boot(dsn, "agent-1").epoch
    count = 0
    for turn in range(3):
        agent_run(conn, epoch, f"ses_{turn}", 20)
        count += 21
        browser.wait(f"{ROWS}.length === {count}")
        if turn == 2:
            break
        server.kill()
        browser.wait("source.readyState === EventSource.CONNECTING")
        agent_run(conn, epoch, f"ses_{turn}_away", 20)
        count += 21
        server.start()
        browser.wait(f"window.opened === {turn + 2}", 30)
    epoch = recovery.boot(dsn, "agent-1").epoch
    browser.wait(f"{ROWS}.some(one => one.data.type === 'session.idle')")
    total = value(conn, "select count(*) from recovery.event")
    browser.wait(f"{ROWS}.length === {total}")
    ids = browser.value(f"{ROWS}.map(one => one.data.id)")
    assert len(set(ids)) == total
    assert browser.value("new Set(got.map(one => one.data.id)).size === got.length")
    assert epoch


def test_the_end_of_a_stream_makes_it_go_on(
    dsn: str, conn: Connection, process: Callable[..., Process], browser: Browser
) -> None:
    """Its time is up, or it was too slow: it comes back, with where it stands."""
    server = process(STREAM_LIFETIME="1")
    browser.open(server.url)
    browser.wait("window.opened >= 2")
    assert browser.value("got.some(one => one.data.type === 'stream.end')")
    epoch = recovery.boot(dsn, "agent-1").epoch
    for turn in range(6):
        agent_run(conn, epoch, f"ses_{turn}")
        browser.wait(f"window.opened >= {turn + 2}")
    browser.wait(f"{ROWS}.filter(one => one.data.type !== 'stream.end').length === 12")


def test_one_session(
    dsn: str, conn: Connection, process: Callable[..., Process], browser: Browser
) -> None:
    server = process()
    browser.open(f"{server.url}/?session=ses_2")
    browser.wait("window.got?.length")
    epoch = recovery.boot(dsn, "agent-1").epoch
    agent_run(conn, epoch, "ses_1")
    agent_run(conn, epoch, "ses_2")
    browser.wait(f"{ROWS}.length === 2")
    assert browser.value(f"{ROWS}.every(one => one.data.properties.sessionID === 'ses_2')")
