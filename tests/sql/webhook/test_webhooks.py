"""Webhooks in SQL: what is refused, who may see what, how deliveries wait for each other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from helpers import wait_for_lock
from sql.jobs import Connection, add, refused, value

URL = "https://example.com/hook"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CLAIM = "11111111-1111-1111-1111-111111111111"


def add_webhook(
    conn: Connection, name: str | None = "hook", url: str | None = URL, **options: Any
) -> str:
    given = "".join(f", p_{option} => %({option})s" for option in options)
    row = conn.execute(
        f"select recovery.add_webhook(%(name)s, %(url)s{given})".encode(),
        {"name": name, "url": url, **options},
    ).fetchone()
    assert row is not None
    return str(row[0])


def collect(conn: Connection, name: str = "hook") -> int:
    return int(value(conn, "select recovery.collect_deliveries(%s)", name))


def claim(conn: Connection, limit: int = 100, claim: str = CLAIM, name: str = "hook") -> list[int]:
    return [
        row[0]
        for row in conn.execute(
            "select event from recovery.claim_deliveries(%s, %s, %s)", [name, claim, limit]
        )
    ]


def record(
    conn: Connection, *events: int, status: int | None = 200, claim: str = CLAIM
) -> list[tuple[int, str]]:
    error = None if status == 200 else "no"
    count = len(events)
    return [
        (row[0], row[1])
        for row in conn.execute(
            "select * from recovery.record_deliveries('hook', %s::bigint[], %s::uuid[], %s::integer[],"
            " %s::text[], %s::interval[], %s::interval[])",
            [
                list(events),
                [claim] * count,
                [status] * count,
                [error] * count,
                ["1 ms"] * count,
                [None] * count,
            ],
        )
    ]


def later(conn: Connection, span: str = "1 hour") -> None:
    conn.execute("update recovery.clock set shift = shift + %s::interval", [span])


def status(conn: Connection, name: str = "hook") -> dict[str, Any]:
    row = conn.execute(
        "select to_jsonb(s)::text from recovery.webhook_status as s where s.name = %s", [name]
    ).fetchone()
    assert row is not None
    found: dict[str, Any] = json.loads(row[0])
    return found


def test_a_secret_is_given_or_made(conn: Connection) -> None:
    assert add_webhook(conn, secret=SECRET) == SECRET
    made = [add_webhook(conn, f"hook{n}") for n in range(3)]
    assert len(set(made)) == 3
    assert all(value(conn, "select recovery._is_webhook_secret(%s)", one) for one in made)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "-a", ".", "a" * 51, "a/b", "ä", None, "a\n", "a\nb"]
)
def test_names_that_cannot_be(conn: Connection, name: str | None) -> None:
    with refused("RC010", "webhook name"):
        add_webhook(conn, name)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "example.com",
        "ftp://example.com/",
        "https://",
        "https:///hook",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://example.com/\x01",
        "https://example.com/#part",
        "https://example.com/" + "a" * 2000,
        "http://example.com/",
    ],
)
def test_urls_that_cannot_be(conn: Connection, url: str | None) -> None:
    with refused("RC010", "webhook URL"):
        add_webhook(conn, url=url)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "secret",
        "whsec_",
        "whsec_short",
        "whsec_" + "A" * 30 + "=" * 2,
        "whsec_" + "!" * 32,
        "whsec_" + "A" * 100,
        SECRET + "\n",
        SECRET[:-1],
    ],
)
def test_secrets_that_cannot_be(conn: Connection, secret: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        add_webhook(conn, secret=secret)
    assert caught.value.sqlstate == "RC010"
    assert len(secret) < 9 or secret.strip() not in str(caught.value)  # it is not shown


@pytest.mark.parametrize(
    "option",
    [
        {"order_by": "random"},
        {"order_by": None},
        {"timeout": "0 s"},
        {"timeout": "6 min"},
        {"timeout": None},
        {"backoff": "0 s"},
        {"max_backoff": "1 s"},
        {"max_body": 100},
        {"max_body": None},
        {"max_attempts": 0},
        {"max_attempts": None},
        {"concurrency": 0},
        {"concurrency": None},
        {"keep": "1 min"},
    ],
    ids=str,
)
def test_options_that_cannot_be(conn: Connection, option: dict[str, Any]) -> None:
    with refused("RC010"):
        add_webhook(conn, **option)


def test_a_watch_that_nobody_knows(jobs: Connection) -> None:
    with refused("RC008", "'app.jbo'"):
        add_webhook(jobs, watch=["app.job", "app.jbo"])
    assert value(jobs, "select count(*) from recovery.consumer_status") == 0


def test_another_of_the_name_only_replaces_it_when_it_is_told_to(jobs: Connection) -> None:
    secret = add_webhook(jobs, kind=["closed"])
    add(jobs, None, 3)
    with refused("RC010", "there is a webhook hook already, for https://example.com/hook"):
        add_webhook(jobs, url="https://example.org/")
    assert add_webhook(jobs, url="https://example.org/", replace=True) == secret
    assert status(jobs)["url"] == "https://example.org/"
    assert status(jobs)["filters"] == {}
    assert collect(jobs) == 3  # its position stayed
    assert add_webhook(jobs, secret=SECRET, replace=True) == SECRET


def test_what_is_called_so_is_missing(conn: Connection) -> None:
    for call in (
        "remove_webhook('x')",
        "pause_webhook('x')",
        "resume_webhook('x')",
        "rotate_webhook('x')",
        "redeliver('x')",
        "webhook_target('x')",
        "pause_webhook(null)",
    ):
        with refused("RC010", "no webhook is called"):
            conn.execute(f"select recovery.{call}".encode())
    # What a dispatcher does finds out that it was removed meanwhile.
    assert collect(conn) == 0
    assert claim(conn) == []
    assert record(conn, 1) == []


def test_removing_it_says_what_it_did_not_get(jobs: Connection) -> None:
    add_webhook(jobs)
    add(jobs, None, 3)
    collect(jobs)
    record(jobs, claim(jobs)[0])
    assert value(jobs, "select recovery.remove_webhook('hook')") == 2
    assert value(jobs, "select count(*) from recovery.webhook_delivery") == 0
    assert value(jobs, "select count(*) from recovery.consumer_status") == 0


def test_rotation(conn: Connection) -> None:
    first = add_webhook(conn)

    def secrets() -> list[str]:
        found: list[str] = value(conn, "select secrets from recovery.webhook_target('hook')")
        return found

    second = value(conn, "select recovery.rotate_webhook('hook')")
    assert secrets() == [second, first]
    assert value(conn, "select recovery.rotate_webhook('hook', %s)", SECRET) == SECRET
    assert secrets() == [SECRET, second, first]
    value(conn, "select recovery.rotate_webhook('hook', %s)", first)  # an old one is the newest now
    assert secrets() == [first, SECRET, second]
    value(conn, "select recovery.rotate_webhook('hook')")
    with refused("RC010", "would have 5 secrets"):
        value(conn, "select recovery.rotate_webhook('hook')")
    with refused("RC010"):
        value(conn, "select recovery.rotate_webhook('hook', %s, true)", SECRET)
    newest = secrets()[0]
    assert value(conn, "select recovery.rotate_webhook('hook', p_finish => true)") == newest
    assert secrets() == [newest]


def test_p11_secrets_are_for_who_sends(conn: Connection) -> None:
    """P11: neither table can be read, and nothing that a listener reads holds a secret."""
    secret = add_webhook(conn)

    def ask(role: str, query: str) -> Any:
        with conn.transaction():
            conn.execute(f"set local role {role}".encode())
            return conn.execute(query.encode()).fetchall()

    for role in ("recovery_listener", "recovery_server"):
        for table in ("webhook", "webhook_delivery"):
            for query in (
                f"select * from recovery.{table}",
                f"select count(*) from recovery.{table}",
            ):
                with refused("42501"):
                    ask(role, query)
        said = str(ask(role, "select * from recovery.webhook_status"))
        said += str(ask(role, "select * from recovery.dead_letter"))
        assert "hook" in said
        assert secret not in said
        assert secret.removeprefix("whsec_") not in said
    assert ask("recovery_server", "select secrets from recovery.webhook_target('hook')")
    for call in (
        "webhook_target('hook')",
        "claim_deliveries('hook', gen_random_uuid())",
        "rotate_webhook('hook')",
        "add_webhook('x', 'https://example.com/')",
        "remove_webhook('hook')",
        "redeliver('hook')",
        "current_states('w', 'row', '{}')",
    ):
        with refused("42501"):
            ask("recovery_listener", f"select recovery.{call}")


def test_one_of_a_row_at_a_time(jobs: Connection) -> None:
    add_webhook(jobs)
    first, second = add(jobs, None, 2)
    jobs.execute("update app.job set status = 'done' where id in (%s, %s)", [first, second])
    jobs.execute("update app.job set status = 'running' where id = %s", [first])
    assert collect(jobs) == 5
    assert collect(jobs) == 0
    opened = claim(jobs)
    assert len(opened) == 2
    assert claim(jobs) == []
    # One that failed is in the way of its own row alone.
    record(jobs, opened[0], status=500)
    record(jobs, opened[1])
    [closed] = claim(jobs)
    assert value(jobs, "select key from recovery.event where id = %s", closed) == str(second)
    later(jobs)
    assert claim(jobs) == [opened[0], closed]
    record(jobs, opened[0], closed)
    for _ in range(2):
        [event] = claim(jobs)
        record(jobs, event)
    assert claim(jobs) == []
    assert status(jobs)["unfinished"] == 0


def test_a_row_that_changes_its_group_keeps_its_order(conn: Connection, app: Connection) -> None:
    from sql.jobs import attach

    attach(app, group="note")
    add_webhook(app, order_by="group")
    (id_,) = add(app, None)
    app.execute("update app.job set note = 'a', status = 'done' where id = %s", [id_])
    app.execute("update app.job set note = 'b', status = 'running' where id = %s", [id_])
    app.execute("insert into app.job (note) values ('b'), ('c')")
    assert collect(app) == 5
    kinds = "select string_agg(kind, ',' order by id) from recovery.event where id = any (%s)"
    first = claim(app)
    assert value(app, kinds, first) == "opened,opened"  # of the row, and of group c
    assert status(app)["unfinished"] == 5
    record(app, *first)
    second = claim(app)
    assert value(app, kinds, second) == "closed"
    record(app, *second)
    third = claim(app)
    assert value(app, kinds, third) == "reopened"
    record(app, *third)
    assert value(app, kinds, claim(app)) == "opened"  # of group b, which waited for it


def test_two_claims_at_once(jobs: Connection, connect: Callable[..., Connection]) -> None:
    add_webhook(jobs)
    add(jobs, None, 5)
    collect(jobs)
    other = "22222222-2222-2222-2222-222222222222"
    with connect(autocommit=False) as first, connect() as second:
        mine = claim(first, 3)
        theirs: list[int] = []
        thread = threading.Thread(target=lambda: theirs.extend(claim(second, 10, other)))
        thread.start()
        wait_for_lock(jobs, second.info.backend_pid)
        first.commit()
        thread.join(10)
    assert len(mine) == 3
    assert len(theirs) == 2
    assert not set(mine) & set(theirs)


def test_what_is_collected_while_a_row_is_finished_waits_for_nobody(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    """Else the next event of the row would wait for one that has gone."""
    add_webhook(jobs)
    (id_,) = add(jobs, None)
    collect(jobs)
    [opened] = claim(jobs)
    jobs.execute("update app.job set status = 'done' where id = %s", [id_])
    with connect(autocommit=False) as first, connect() as second:
        record(first, opened)
        thread = threading.Thread(target=collect, args=(second,))
        thread.start()
        wait_for_lock(jobs, second.info.backend_pid)
        first.commit()
        thread.join(10)
    assert len(claim(jobs)) == 1
    # And the other way round.
    jobs.execute("update app.job set status = 'running' where id = %s", [id_])
    [closed] = [
        row[0]
        for row in jobs.execute(
            "select event from recovery.webhook_delivery where claim is not null"
        )
    ]
    with connect(autocommit=False) as first, connect() as second:
        collect(first)
        thread = threading.Thread(target=record, args=(second, closed))
        thread.start()
        wait_for_lock(jobs, second.info.backend_pid)
        first.commit()
        thread.join(10)
    assert len(claim(jobs)) == 1


def test_pauses_grow_with_jitter_up_to_a_limit(jobs: Connection) -> None:
    add_webhook(jobs, backoff="10 s", max_backoff="10 min", max_attempts=9, concurrency=100)
    add(jobs, None, 40)
    collect(jobs)
    for attempt in range(1, 9):
        jobs.execute("update recovery.webhook set failures = 0")
        events = claim(jobs)
        assert len(events) == 40
        assert {state for _, state in record(jobs, *events, status=500)} == {"pending"}
        waits = [
            float(row[0])
            for row in jobs.execute(
                "select extract(epoch from next_at - tried) from recovery.webhook_delivery"
            )
        ]
        mean = min(600, 10 * 4 ** (attempt - 1))
        assert mean * 0.5 <= min(waits) < mean * 0.8
        assert mean * 1.2 < max(waits) <= mean * 1.5
        later(jobs)
    jobs.execute("update recovery.webhook set failures = 0")
    events = claim(jobs)
    assert {state for _, state in record(jobs, *events, status=500)} == {"dead"}
    assert (status(jobs)["dead"], status(jobs)["unfinished"]) == (40, 0)


def test_a_receiver_that_is_down_gets_one_at_a_time(jobs: Connection) -> None:
    add_webhook(jobs)
    add(jobs, None, 20)
    collect(jobs)
    record(jobs, *claim(jobs, 4), status=503)
    assert status(jobs)["state"] == "failing"
    record(jobs, *claim(jobs, 1), status=None)
    assert status(jobs)["state"] == "down"
    [probe] = claim(jobs)
    assert claim(jobs) == []
    # It answers, if only to refuse: it is up.
    record(jobs, probe, status=400)
    assert status(jobs)["state"] == "active"
    assert len(claim(jobs)) == 8
    assert status(jobs)["error"] == "no"


def test_a_long_outage_does_not_fill_the_table(jobs: Connection) -> None:
    add_webhook(jobs)
    jobs.execute("insert into app.job (note) select 'x' from generate_series(1, 21000)")
    taken = 0
    while count := collect(jobs):
        taken += count
    assert 20000 <= taken < 21000
    jobs.execute("update recovery.webhook_delivery set state = 'delivered', done = now()")
    while count := collect(jobs):
        taken += count
    assert taken == 21000


def test_what_is_old_is_forgotten(jobs: Connection) -> None:
    add_webhook(jobs, max_attempts=1)
    add(jobs, None, 6)
    collect(jobs)
    events = claim(jobs)
    record(jobs, *events[:3])
    record(jobs, *events[3:5], status=500)
    prune = "select recovery.prune_deliveries(%s)"
    later(jobs, "23 hours")
    assert value(jobs, prune, 100) == 0
    later(jobs, "2 hours")
    assert [value(jobs, prune, 2) for _ in range(3)] == [2, 1, 0]
    later(jobs, "28 days")
    assert value(jobs, prune, 100) == 0
    assert status(jobs)["dead"] == 2
    later(jobs, "1 day")
    assert value(jobs, prune, 100) == 2
    assert status(jobs)["unfinished"] == 1  # what is neither is not old
    # And no more than 100,000, however new.
    jobs.execute(
        "insert into recovery.webhook_delivery"
        " (webhook, event, watch, kind, key, body, state, next_at, done)"
        " select 'hook', -n, 'w', 'closed', n::text, '{}', 'dead', now(),"
        " (select recovery._now()) - n * interval '1 ms' from generate_series(1, 100010) as n"
    )
    assert value(jobs, prune, 1000) == 10
    oldest = "select min(event) from recovery.webhook_delivery"
    assert value(jobs, oldest) == -100000


def test_states(jobs: Connection) -> None:
    open_, closed, gone = add(jobs, None, 3)
    jobs.execute("update app.job set status = 'done' where id = %s", [closed])
    jobs.execute("delete from app.job where id = %s", [gone])
    ask = "select recovery.current_states(%s, %s, %s::text[])"
    keys = [str(closed), str(open_), str(gone), str(open_)]
    found = value(jobs, ask, "app.job", "row", keys)
    assert found == ["closed", "open", "deleted", "open"]
    assert value(jobs, ask, "app.job", "row", ["no number"]) == ["unknown"]
    assert value(jobs, ask, "app.other", "row", ["1", "2"]) == ["unknown", "unknown"]
    assert value(jobs, ask, "app.job", "row", []) in ([], None)


def test_states_of_keys_with_several_columns(conn: Connection) -> None:
    from sql.jobs import attach

    conn.execute("create schema app")
    conn.execute(
        'create table app.job (a int, "B b" text, status text, error text, primary key (a, "B b"))'
    )
    attach(conn)
    conn.execute("insert into app.job values (1, 'x\"y', 'running'), (2, 'z', 'done')")
    keys = ['[1, "x\\"y"]', '[2, "z"]', '[3, "z"]']
    found = value(conn, "select recovery.current_states('app.job', 'row', %s::text[])", keys)
    assert found == ["open", "closed", "deleted"]


def test_states_of_groups(app: Connection) -> None:
    from sql.jobs import attach

    attach(app, group="note")
    app.execute(
        "insert into app.job (note, status) values ('a', 'running'), ('a', 'done'), ('b', 'done')"
    )
    ask = "select recovery.current_states('app.job', 'group', %s::text[])"
    assert value(app, ask, ["a", "b", "c"]) == ["open", "closed", "closed"]


def test_the_search_for_work_reads_no_finished_delivery(jobs: Connection) -> None:
    """The plans: by the partial indexes, however much was delivered and waits."""
    add_webhook(jobs)
    jobs.execute(
        "insert into recovery.webhook_delivery"
        " (webhook, event, watch, kind, key, body, state, next_at, done)"
        " select 'hook', n, 'w', 'closed', (n % 100)::text, '{}',"
        " case when n % 3 = 0 then 'waiting' else 'delivered' end, now(), now()"
        " from generate_series(1, 50000) as n"
    )
    add(jobs, None, 3)
    assert collect(jobs) == 3
    jobs.execute("analyze recovery.webhook_delivery")
    jobs.execute("set log_min_messages = 'warning'")

    def blocks(query: str) -> int:
        with jobs.transaction():
            row = jobs.execute(
                f"explain (analyze, buffers, format json) {query}".encode()
            ).fetchone()
        assert row is not None
        plan = row[0][0]["Plan"]
        return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])

    whole = int(value(jobs, "select pg_relation_size('recovery.webhook_delivery') / 8192"))
    assert whole > 500
    for query in (
        "select * from recovery.due_webhooks()",
        f"select * from recovery.claim_deliveries('hook', '{CLAIM}', 10)",
        "select recovery.redeliver('hook', '{1}')",
    ):
        assert blocks(query) < whole / 2, query


def test_the_doctor(jobs: Connection) -> None:
    from sql.status.examining import examine

    def found() -> dict[str, tuple[str, str, str]]:
        return {
            each.code: (each.severity, each.problem, each.remedy)
            for each in examine(jobs)
            if each.kind == "webhook"
        }

    assert found() == {}
    add_webhook(jobs, max_attempts=1)
    add(jobs, None, 7)
    assert found() == {}
    jobs.execute("update recovery.consumer set seen = seen - interval '1 hour'")
    jobs.execute("update recovery.outbox set at = at - interval '1 hour'")
    severity, problem, remedy = found()["webhook-unsent"]
    assert (severity, remedy) == ("error", "recovery webhooks run")
    assert "nobody has asked for its events for 01:00:" in problem
    collect(jobs)
    assert found() == {}
    later(jobs)
    assert "an event has been due for 01:00:" in found()["webhook-unsent"][1]
    record(jobs, *claim(jobs, 6), status=None)
    assert "6 attempts have failed, the last one with: no" in found()["webhook-down"][1]
    assert found()["webhook-dead"][1] == "6 events were given up, the last one with: no"
    value(jobs, "select recovery.pause_webhook('hook', 'why')")
    value(jobs, "select recovery.rotate_webhook('hook')")
    value(jobs, "select recovery.drop_consumer('webhook:hook')")
    now = found()
    assert "webhook-unsent" not in now
    assert now["webhook-paused"][1].endswith(": why")
    assert now["webhook-rotating"][0] == "note"
    assert now["webhook-consumer"][0] == "error"


def test_who_was_paused_for_too_long_is_told_so(jobs: Connection) -> None:
    """P9: events that were dropped unsent are a gap, whatever the filters say."""
    add_webhook(jobs, kind=["closed"], watch=["app.job"])
    add(jobs, None, 2, status="done")
    value(jobs, "select recovery.pause_webhook('hook')")
    add(jobs, None, 3)
    jobs.execute("update recovery.consumer set seen = seen - interval '8 days'")
    for _ in range(3):  # a partition a time
        jobs.execute("update recovery.outbox set at = at - interval '4 days'")
        jobs.execute("select recovery._prune_old(true)")
        add(jobs, None)
    assert collect(jobs) == 0
    value(jobs, "select recovery.resume_webhook('hook')")
    assert collect(jobs) == 1
    [event] = claim(jobs)
    row = jobs.execute(
        "select kind, watch, key, body -> 'new' from recovery.webhook_delivery where event = %s",
        [event],
    ).fetchone()
    assert row is not None
    assert row[:3] == ("gap", "", "")
    assert row[3]["to"] == event


def test_a_webhook_that_is_collected_for_keeps_its_events(jobs: Connection) -> None:
    add_webhook(jobs)
    add(jobs, None, 3)
    for _ in range(3):
        jobs.execute("update recovery.outbox set at = at - interval '4 days'")
        jobs.execute("select recovery._prune_old(true)")
    assert collect(jobs) == 3


def test_only_what_may_be_new_is_asked_for(jobs: Connection) -> None:
    add_webhook(jobs)
    fresh = "select fresh from recovery.due_webhooks()"
    assert not value(jobs, fresh)
    add(jobs, None)
    assert value(jobs, fresh)
    collect(jobs)
    assert not value(jobs, fresh)
    # But once a minute: else its consumer would count as abandoned.
    jobs.execute("update recovery.consumer set seen = seen - interval '61 seconds'")
    assert value(jobs, fresh)
    collect(jobs)
    assert not value(jobs, fresh)


def test_what_commits_late_is_asked_for(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    add_webhook(jobs)
    with connect(autocommit=False) as late:
        add(late, None)
        add(jobs, None)
        assert collect(jobs) == 1
        late.commit()
    assert value(jobs, "select fresh from recovery.due_webhooks()")
    assert collect(jobs) == 1
    assert len(claim(jobs)) == 2
