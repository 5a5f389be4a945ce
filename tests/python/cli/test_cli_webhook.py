"""`recovery webhook` and `recovery webhooks`, run as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from helpers import wait_for
from python.cli.test_cli import COMMAND, FAILED, UNREACHABLE, USAGE, bad, environment, good, run
from python.webhooks.receiver import Receiver
from recovery import webhooks

# Each command is a process of its own, which takes its time on a busy machine.
pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(300)]

Connection = psycopg.Connection[Any]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = ["--allow", "127.0.0.0/8"]


def test_add_look_and_remove(dsn: str, conn: Connection, jobs: Any) -> None:
    env = {"RECOVERY_DSN": dsn}
    assert good("webhooks", env=env) == "there is no webhook; see recovery webhook add --help\n\n"
    options = ["--watch", "public.job", "--kind", "closed", "--kind", "failed"]
    done = run("webhook", "add", "https://example.com/hook", *options, env=env)
    assert done.returncode == 0, done
    name, secret = done.stdout.splitlines()
    assert name == "example.com: https://example.com/hook"
    assert secret.startswith("secret whsec_")
    assert "recovery webhooks run" in done.stderr
    for text in (good("webhooks", env=env), good("webhook", "list", env=env)):
        header, line = text.splitlines()[:2]
        assert header.split()[:4] == ["webhook", "url", "gets", "state"]
        assert "kind closed or failed, watch public.job" in line
        assert "active" in line
        assert "\x1b" not in text
    [found] = json.loads(good("webhooks", "--json", env=env))
    assert (found["name"], found["url"]) == ("example.com", "https://example.com/hook")
    assert secret.split()[1] not in str(found)
    assert good("webhook", "pause", "example.com", "--because", "why", env=env)
    assert "why" in good("webhooks", env=env)
    assert good("webhook", "resume", "example.com", env=env) == "example.com is active\n"
    jobs(None, 2)
    conn.execute("update public.job set status = 'done'")
    conn.execute("select recovery.collect_deliveries('example.com')")
    removed = good("webhook", "remove", "example.com", env=env)
    assert removed == "example.com is removed; 2 events not delivered\n"


def test_a_secret_is_given_by_the_environment_or_standard_input(dsn: str, conn: Connection) -> None:
    def secrets(name: str) -> list[str]:
        row = conn.execute("select secrets from recovery.webhook_target(%s)", [name]).fetchone()
        assert row is not None
        return list(row[0])

    env = {"RECOVERY_DSN": dsn, "RECOVERY_WEBHOOK_SECRET": SECRET}
    done = run("webhook", "add", "https://example.com/", "--name", "one", env=env)
    assert (done.returncode, done.stdout) == (0, "one: https://example.com/\n")
    assert secrets("one") == [SECRET]
    done = subprocess.run(
        [*COMMAND, "webhook", "add", "https://example.com/", "--name", "two", "--secret", "-"],
        env=environment(RECOVERY_DSN=dsn),
        input=SECRET + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert SECRET not in done.stdout
    assert secrets("two") == [SECRET]
    done = run("webhook", "rotate", "two", env=env)
    new = done.stdout.removeprefix("secret ").strip()
    assert secrets("two") == [new, SECRET]
    assert good("webhook", "rotate", "two", "--finish", env=env)
    assert secrets("two") == [new]


def test_what_is_refused(dsn: str, jobs: Any) -> None:
    add = ["--dsn", dsn, "webhook", "add"]
    url = "https://example.com/"
    line = bad(USAGE, *add, "http://127.0.0.1:8000/")
    assert "127.0.0.1 is loopback; if that is meant, allow its network" in line
    assert "begin with https://" in bad(USAGE, *add, "http://example.com/")
    assert "must be https://host/path" in bad(USAGE, *add, "example.com/hook")
    for secret_url in ("https://me:geheim@example.com/", "https://me:ge/heim@example.com/"):
        line = bad(USAGE, *add, secret_url, "--name", "x")
        assert "heim" not in line
        assert "example.com" in line
    assert "has host bits set" in bad(USAGE, *add, url, "--allow", "10.0.0.1/8")
    assert "'closd' is not one of" in bad(USAGE, *add, url, "--kind", "closd")
    assert "nothing is watched as 'public.jbo'" in bad(FAILED, *add, url, "--watch", "public.jbo")
    line = bad(USAGE, *add, url, "--secret", "geheim")
    assert "whsec_" in line
    assert "geheim" not in line
    assert "timeout" in bad(USAGE, *add, url, "--timeout", "0")
    assert "Did you mean 'list'" in bad(USAGE, "--dsn", dsn, "webhook", "lst")
    for command in ("remove", "pause", "resume", "rotate", "test", "redeliver", "dead"):
        line = bad(USAGE, "--dsn", dsn, "webhook", command, "nosuch")
        assert "no webhook is called 'nosuch'" in line
    assert "at least 1" in bad(USAGE, "webhooks", "run", "--concurrency", "0", "--dsn", dsn)
    away = "postgresql://me:geheim@127.0.0.1:1/shop"
    for args in (["webhooks"], ["webhooks", "run"], ["webhook", "add", url]):
        assert "geheim" not in bad(UNREACHABLE, *args, "--dsn", away)


def test_test(dsn: str) -> None:
    with Receiver() as receiver:
        run("--dsn", dsn, "webhook", "add", receiver.url, "--name", "hook", *LOOPBACK)
        said = good("webhook", "test", "hook", "--dsn", dsn)
        assert said.startswith("hook (127.0.0.1) answered 204 in ")
        receiver.answer = lambda _: (500, {}, b"broken")
        line = bad(FAILED, "webhook", "test", "hook", "--dsn", dsn)
        assert line == "recovery: hook: answered 500 Internal Server Error: broken\n"
        done = run("webhook", "test", "hook", "--json", "--dsn", dsn)
        assert done.returncode == FAILED
        assert json.loads(done.stdout)["status"] == 500


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run(dsn: str, conn: Connection, jobs: Any, number: int, code: int) -> None:
    with Receiver() as receiver:
        run("--dsn", dsn, "webhook", "add", receiver.url, "--name", "hook", *LOOPBACK)
        with subprocess.Popen(
            [*COMMAND, "webhooks", "run", "--dsn", dsn],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == "recovery: sending; Ctrl-C ends it\n"
            (id_,) = jobs(None)
            line = process.stderr.readline()
            assert line.startswith(f"recovery: hook: opened public.job {id_} (event ")
            assert ", attempt 1): 204 in " in line
            wait_for(lambda: webhooks.status(conn)[0].unfinished == 0)
            process.send_signal(number)
            out, rest = process.communicate(timeout=60)
        assert (process.returncode, out, rest) == (code, "", "")


def test_dead_letters_and_redelivery(dsn: str, conn: Connection, jobs: Any) -> None:
    options = ["--name", "hook", "--attempts", "1", *LOOPBACK]
    with Receiver(lambda _: (500, {}, b"")) as receiver:
        run("--dsn", dsn, "webhook", "add", receiver.url, *options)
        assert good("webhook", "dead", "--dsn", dsn) == "no dead letters\n\n"
        jobs(None, 2)
        with webhooks.deliver(dsn):
            wait_for(lambda: webhooks.status(conn)[0].dead == 2)
    table = good("webhook", "dead", "hook", "--dsn", dsn)
    assert table.count("answered 500") == 2
    letters = json.loads(good("webhook", "dead", "--json", "--dsn", dsn))
    assert {letter["attempts"] for letter in letters} == {1}
    one = str(letters[0]["event"])
    assert good("webhook", "redeliver", "hook", one, "--dsn", dsn) == "1 event will be sent again\n"
    assert good("webhook", "redeliver", "hook", "--dsn", dsn) == "1 event will be sent again\n"
    again = good("webhook", "redeliver", "hook", "--dsn", dsn)
    assert again == "there is nothing to send again\n"


def test_a_listener_only_looks(dsn: str, conn: Connection) -> None:
    role = f"webhook_{os.getpid()}"
    conn.execute(f"create role {role} login in role recovery_listener".encode())
    try:
        other = make_conninfo(dsn, user=role)
        run("--dsn", dsn, "webhook", "add", "https://example.com/", "--name", "hook")
        assert "https://example.com/" in good("webhooks", "--dsn", other)
        assert good("webhook", "dead", "--dsn", other)
        for command in (["pause", "hook"], ["test", "hook"], ["rotate", "hook"]):
            assert "permission denied" in bad(FAILED, "webhook", *command, "--dsn", other)
        assert "permission denied" in bad(FAILED, "webhooks", "run", "--dsn", other)
    finally:
        conn.execute(f"drop role {role}".encode())
