"""`recovery events` and `recovery consumers`, run as processes."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import recovery
from helpers import wait_for
from python.cli.test_cli import (
    COMMAND,
    FAILED,
    OK,
    UNREACHABLE,
    USAGE,
    bad,
    environment,
    good,
    listening,
    run,
)
from recovery import calls
from recovery.cli import main as cli

# Each command is a process of its own, which takes its time on a busy machine.
pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(300)]

Connection = psycopg.Connection[Any]


@pytest.fixture
def write(conn: Connection) -> Callable[..., None]:
    """``write(key, **columns)``: an event, as a record of its own, or of several keys."""

    def one(*keys: str, **more: Any) -> None:
        row = {"watch": "app.job", "kind": "opened", "detector": "writer", **more}
        row |= {"key": keys[0]} if len(keys) == 1 else {"keys": list(keys)}
        names = list(row)
        conn.execute(
            f"insert into recovery.outbox ({', '.join(names)})"
            f" values ({', '.join(f'%({name})s' for name in names)})".encode(),
            row,
        )

    return one


@pytest.fixture
def told(dsn: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """``told(*args) -> keys`` of the events that are shown; in this process: there are many."""

    def keys(*args: str) -> list[str]:
        with pytest.raises(SystemExit) as exit_:
            cli.main(["events", "--json", *args, "--dsn", dsn])
        out, err = capsys.readouterr()
        assert (exit_.value.code, err) == (OK, "")
        return [json.loads(line)["key"] for line in out.splitlines()]

    return keys


def test_filters(write: Callable[..., None], told: Callable[..., list[str]]) -> None:
    write("1", group_key="g", topic="t", server_epoch=7)
    write("2", watch="app.task", kind="closed", reason="shutdown", group_key="h")
    write("3", watch="app.task", server_epoch=8, reason="superseded")
    for options, keys in {
        "": ["1", "2", "3"],
        "--watch app.task": ["2", "3"],
        "--watch app.task --watch app.job": ["1", "2", "3"],
        "--watch app.task --kind opened": ["3"],
        "--group g --group h": ["1", "2"],
        "--reason shutdown": ["2"],
        "--topic t": ["1"],
        "--epoch 7 --epoch 8": ["1", "3"],
        "--epoch 9": [],
        "--kind gap": [],
    }.items():
        # By the newest, from an id on, and from a time on: the same.
        for start in ([], ["--after", "0"], ["--since", "1 hour"]):
            assert told(*options.split(), *start) == keys, (options, start)


def test_how_many(dsn: str, write: Callable[..., None], told: Callable[..., list[str]]) -> None:
    write(*(f"a{n}" for n in range(30)), kind="closed")
    write(*(f"b{n}" for n in range(30)), kind="closed")
    everything = [f"{c}{n}" for c in "ab" for n in range(30)]
    assert told("--after", "0") == everything
    assert told("--limit", "3") == everything[-3:]
    assert told("-n", "31") == everything[-31:]
    assert told("-n", "100") == everything
    assert told("--after", "0", "-n", "31") == everything[:31]
    assert told("--after", "110", "-n", "2") == ["a11", "a12"]
    done = run("events", "--dsn", dsn)
    assert done.returncode == OK
    assert [line.split()[4] for line in done.stdout.splitlines()] == everything[-50:]
    assert done.stderr == "recovery: the newest 50; --limit shows more, --after 0 all\n"


def test_pages_of_history(conn: Connection, told: Callable[..., list[str]]) -> None:
    """More than one read, with and without a filter, and a limit in the middle of the second."""
    conn.execute(
        "insert into recovery.outbox (watch, kind, key, detector)"
        " select 'w', case n % 3 when 0 then 'closed' else 'opened' end, n::text, 'x'"
        " from generate_series(1, 4000) as n"
    )
    assert told("--after", "0") == [str(n) for n in range(1, 4001)]
    assert told("--after", "100", "--limit", "1500") == [str(n) for n in range(2, 1502)]
    assert told("--since", "1h", "--kind", "closed") == [str(n) for n in range(3, 4001, 3)]


def test_what_is_not_settled_is_shown(
    dsn: str, connect: Callable[..., Connection], write: Callable[..., None],
    told: Callable[..., list[str]],
) -> None:  # fmt: skip
    """Below it something may still appear: history is for looking."""
    other = connect()
    other.execute("begin")
    other.execute(
        "insert into recovery.outbox (watch, kind, key, detector) values ('w', 'x', 'late', 'x')"
    )
    write("1")
    for start in ([], ["--after", "0"], ["--since", "1h"]):
        assert told(*start) == ["1"]
    other.execute("commit")
    for start in ([], ["--after", "0"], ["--since", "1h"]):
        assert told(*start) == ["late", "1"]


def test_since(dsn: str, conn: Connection, write: Callable[..., None], told: Any) -> None:
    now = datetime.now().astimezone()
    write("old", at=now - timedelta(days=400))
    write("day", at=now - timedelta(hours=20))
    write("hour", at=now - timedelta(minutes=50))
    write("now")
    assert told("--since", "30 min") == ["now"]
    assert told("--since", "1h") == ["hour", "now"]
    assert told("--since", "01:00:00") != []  # of the clock: whenever that was last
    assert told("--since", "2 days") == ["day", "hour", "now"]
    assert told("--since", "2 years") == ["old", "day", "hour", "now"]
    hour = now - timedelta(minutes=51)
    assert told("--since", hour.isoformat()) == ["hour", "now"]
    assert told("--since", hour.astimezone(UTC).isoformat()) == ["hour", "now"]
    assert told("--since", hour.replace(tzinfo=None).isoformat(" ")) == ["hour", "now"]
    assert told("--since", hour.strftime("%H:%M:%S")) == ["hour", "now"]
    # A time of the day that is yet to come was yesterday's.
    late = (now - timedelta(hours=21)).strftime("%H:%M")
    assert told("--since", late) == ["day", "hour", "now"]
    for text in ("yesterday", "25:00", "2026-13-01", "", "tomorrow-ish", "04:5x"):
        assert "--since" in bad(USAGE, "events", "--since", text, "--dsn", dsn) or "no time" in bad(
            USAGE, "events", "--since", text, "--dsn", dsn
        )


def test_what_is_not_kept_is_said(dsn: str, conn: Connection, write: Callable[..., None]) -> None:
    conn.execute("update recovery.event_floor set id = 4099")
    conn.execute("select setval('recovery.outbox_id_seq', 4000)")
    write("1")
    hint = "recovery: events up to 4099 are no longer kept"
    for start in (["--after", "0"], ["--after", "300"], ["--since", "30 days"]):
        done = run("events", *start, "--dsn", dsn)
        assert (done.returncode, done.stdout.split()[4]) == (OK, "1")
        assert done.stderr.startswith(hint)
        assert done.stderr.count("\n") == 1
    assert "4100" in good("events", "--after", "4099", "--dsn", dsn)
    assert "4100" in good("events", "--dsn", dsn)
    with listening(dsn, conn, "--after", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("4100 ")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read().startswith(hint)


def test_a_line(dsn: str, write: Callable[..., None]) -> None:
    write("1", kind="closed", reason="shutdown", detector="shutdown:7", group_key="g")
    write("", kind="gap", reason="truncated", detector="recovery",
          new=psycopg.types.json.Jsonb({"why": "truncated"}))  # fmt: skip
    write("2", at=datetime(2020, 5, 17, 12, tzinfo=UTC))
    one, gap, old = good("events", "--dsn", dsn).splitlines()
    assert re.fullmatch(
        r"100  \d\d:\d\d:\d\d\.\d{3}  closed    app\.job  1  in g  shutdown  by shutdown:7", one
    )
    assert gap.endswith('gap       app.job  {"why": "truncated"}  truncated  by recovery')
    assert "  2020-05-17 " in old


def test_follow_begins_where_it_is_told(
    dsn: str, conn: Connection, write: Callable[..., None]
) -> None:
    for n in range(1, 6):
        write(str(n), kind="closed" if n % 2 else "opened", server_epoch=n)

    def first(*args: str) -> list[str]:
        with listening(dsn, conn, "--json", *args) as process:
            write("new", kind="closed", server_epoch=3)
            assert process.stdout is not None
            seen: list[str] = []
            while not seen or seen[-1] != "new":
                seen.append(json.loads(process.stdout.readline())["key"])
            process.send_signal(signal.SIGINT)
            assert process.wait() == 130
            assert process.stderr is not None
            assert process.stderr.read() == ""
        conn.execute("delete from recovery.outbox where key = 'new'")
        return seen

    assert first() == ["new"]
    assert first("--limit", "2") == ["4", "5", "new"]
    assert first("--limit", "2", "--kind", "closed") == ["3", "5", "new"]
    assert first("--after", "350") == ["4", "5", "new"]
    assert first("--since", "1h", "--kind", "opened", "--kind", "closed") == [*"12345", "new"]
    assert first("--after", "0", "--epoch", "3") == ["3", "new"]


def test_what_makes_no_sense(dsn: str) -> None:
    for args, words in {
        ("events", "--after", "0", "--since", "1h"): "not both",
        ("events", "--follow", "--after", "0", "--limit", "3"): "--follow",
        ("events", "--limit", "0"): "--limit",
        ("events", "--after", "-1"): "--after",
        ("events", "--kind", "clsed"): "'closed'",
        ("events", "--epoch", "x"): "--epoch",
        ("events", "--flow"): "--follow",
        ("consumers", "moove"): "'move'",
        ("consumers", "move", "a"): "--since",
        ("consumers", "move", "a", "--now", "--after", "3"): "--now",
        ("consumers", "create", "a", "--after", "0", "--since", "1h"): "not both",
        ("consumers", "create", "a", "--expires", "soon"): "'soon'",
        ("consumers", "create", "a", "--expires", "1 s"): "expires",
        ("consumers", "create", "a", "--since", "soon"): "'soon'",
        ("consumers", "create", " "): "name",
        ("consumers", "--json", "drop", "a"): "--json",
    }.items():
        assert words in bad(USAGE, *args, "--dsn", dsn), args


def test_a_pipe_that_closes(dsn: str, conn: Connection) -> None:
    """`recovery events | head`, in the middle of many."""
    conn.execute(
        "insert into recovery.outbox (watch, kind, key, detector)"
        " select 'w', 'closed', n::text, 'x' from generate_series(1, 20000) as n"
    )
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(COMMAND)} events --after 0 | head -n 2; exit ${{PIPESTATUS:-0}}"],
        env=environment(RECOVERY_DSN=dsn),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (OK, "")
    assert [line.split()[4] for line in done.stdout.splitlines()] == ["1", "2"]


def test_without_a_server() -> None:
    for command in ("events", "events --follow", "consumers", "consumers drop a"):
        line = bad(
            UNREACHABLE, *command.split(), "--dsn", "postgresql://me:geheim@127.0.0.1:1/shop"
        )
        assert "127.0.0.1:1, database shop" in line
        assert "geheim" not in line


def consumers(dsn: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(good("consumers", "--json", "--dsn", dsn))}


def test_consumers(dsn: str, conn: Connection, write: Callable[..., None]) -> None:
    assert good("consumers", "--dsn", dsn) == (
        "there is no consumer; see recovery consumers create --help\n\n"
    )
    assert json.loads(good("consumers", "--json", "--dsn", dsn)) == []
    for n in range(3):
        write(str(n))
    env = {"RECOVERY_DSN": dsn}
    assert good("consumers", "create", "all", "--after", "0", env=env) == "0\n"
    filters = ["--kind", "closed", "--kind", "failed", "--watch", "app.job", "--epoch", "7"]
    assert good("consumers", "create", "some", *filters, "--expires", "1 day", env=env) == "399\n"
    assert good("consumers", "create", "hour", "--since", "1h", "--dsn", dsn) == "0\n"
    found = consumers(dsn)
    assert list(found) == ["all", "hour", "some"]
    assert [found[name]["behind"] for name in found] == [3, 3, 0]
    assert found["some"]["filters"] == {
        "kind": ["closed", "failed"], "watch": ["app.job"], "epoch": [7],
    }  # fmt: skip
    assert [found[name]["expires"] for name in found] == [7 * 86400.0, 7 * 86400.0, 86400.0]
    assert {found[name]["state"] for name in found} == {"active"}
    assert 0 < found["all"]["lag"] < 300

    text = good("consumers", "--dsn", dsn)
    assert re.search(r"^all +0 +3 +\d+ s +active +\d+ s ago *$", text, re.M), text
    assert re.search(r"^some +399 +active +\d+ s ago +kind closed, failed; epoch 7; watch app.job *$",
                     text, re.M), text  # fmt: skip

    def rows(shown: str) -> list[str]:  # time goes on between the two
        found = [line for line in shown.splitlines() if line[:4] in ("all ", "hour", "some")]
        return [re.sub(r"\d+ s ", "N s ", re.sub(" +", " ", line)) for line in found]

    assert rows(text) == rows(good("status", "--dsn", dsn))
    assert len(rows(text)) == 3
    assert set(consumers(dsn)) == {
        each["name"] for each in json.loads(good("status", "--json", "--dsn", dsn))["consumers"]
    }

    assert good("consumers", "move", "all", "--now", "--dsn", dsn) == "399\n"
    assert good("consumers", "move", "some", "--after", "150", "--dsn", dsn) == "150\n"
    with recovery.consume(dsn, "all") as events:
        assert events.fetch() == []
    assert good("consumers", "move", "all", "--since", "10 min", "--dsn", dsn) == "0\n"
    with recovery.consume(dsn, "all") as events:
        assert [fetched.event.key for fetched in events.fetch()] == ["0", "1", "2"]
    assert consumers(dsn)["all"]["state"] == "reading"
    # Who creates it again gives it other filters; its position stays.
    assert good("consumers", "create", "some", "--dsn", dsn) == "150\n"
    assert consumers(dsn)["some"]["filters"] == {}

    assert good("consumers", "drop", "some", "--dsn", dsn) == "dropped some\n"
    assert set(consumers(dsn)) == {"all", "hour"}
    for command in (["drop", "sme"], ["move", "sme", "--now"]):
        assert "there is no consumer 'sme'" in bad(FAILED, "consumers", *command, "--dsn", dsn)


def test_whom_a_position_waits_for(
    dsn: str, conn: Connection, connect: Callable[..., Connection], write: Callable[..., None]
) -> None:
    good("consumers", "create", "mailer", "--after", "0", "--dsn", dsn)
    with connect(application_name="nightly") as other:
        other.execute("begin")
        other.execute(
            "insert into recovery.outbox (watch, kind, key, detector) values ('w', 'x', '', 'x')"
        )
        write("1")
        (fetched,) = calls.run(conn, calls.consumer.fetch("mailer"))
        assert not fetched.settled
        calls.run(conn, calls.consumer.acknowledge(fetched.receipt))
        aged = "select count(*) from recovery.open_transaction where pid = %s and begun < now() - '6 s'::interval"
        wait_for(lambda: conn.execute(aged, (other.info.backend_pid,)).fetchone() == (1,), 30)
        for command in ("consumers", "status"):
            text = good(command, "--dsn", dsn)
            assert "the position of mailer waits for pid " in text
            for part in (str(other.info.backend_pid), "nightly", "insert into recovery.outbox"):
                assert part in text
        (held,) = [
            each for each in json.loads(good("status", "--json", "--dsn", dsn))["transactions"]
            if each["pid"] == other.info.backend_pid
        ]  # fmt: skip
        assert held["age"] > 5
        doctor = run("doctor", "--json", "--patience", "1", "--dsn", dsn)
        (finding,) = [
            each
            for each in json.loads(doctor.stdout)["findings"]
            if each["code"] == "consumer-held"
        ]
        assert finding["subject"] == "mailer"
        assert str(other.info.backend_pid) in finding["problem"]
        other.execute("rollback")
    assert calls.run(conn, calls.consumer.fetch("mailer")) == []
    assert "waits for" not in good("consumers", "--dsn", dsn)


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal(
    dsn: str, conn: Connection, write: Callable[..., None], columns: int
) -> None:
    """Nothing is cut off, and tables fit."""
    key = "prt_1fc2be0240016ZrNLlKuZbo6N0"
    write(key, kind="closed", group_key="ses_e03d43a49ffe5cXn4BbqvyMdHh", reason="lease_expired",
          detector="sweep:cron")  # fmt: skip
    name = "a consumer with a name that says a lot about what it is there for"
    good("consumers", "create", name, "--after", "0", "--kind", "closed", "--dsn", dsn)

    def shown(*args: str) -> str:
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [*COMMAND, *args, "--dsn", dsn],
            env=environment(COLUMNS=str(columns), TERM="xterm-256color"),
            stdin=theirs, stdout=theirs, stderr=theirs,
        ) as process:  # fmt: skip
            os.close(theirs)
            parts = []
            while True:
                try:
                    part = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not part:
                    break
                parts.append(part)
            assert process.wait() == OK
        os.close(ours)
        return re.sub(r"\x1b\[[\d;]*m", "", b"".join(parts).decode()).replace("\r", "")

    (line,) = shown("events").splitlines()
    assert key in line
    assert line.endswith("lease_expired  by sweep:cron")
    table = shown("consumers")
    assert max(map(len, table.splitlines())) <= columns
    assert "kind closed" in table
    assert "".join(table.split()).count("active") == 1


def test_a_listener_may_look_and_consume(dsn: str, conn: Connection) -> None:
    role = f"looks_{os.getpid()}"
    conn.execute(f"create role {role} login in role recovery_listener".encode())
    try:
        other = make_conninfo(dsn, user=role)
        for command in ("events", "events --after 0", "events --since 1h", "consumers",
                        "consumers create a", "consumers move a --now", "consumers drop a"):  # fmt: skip
            good(*command.split(), "--dsn", other)
    finally:
        conn.execute(f"drop role {role}".encode())
