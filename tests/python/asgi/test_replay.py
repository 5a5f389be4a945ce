"""What a client has missed, and that nothing is between that and what comes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psutil
import psycopg
import pytest

import recovery
from chaos.test_failover import cut_off
from helpers import wait_for
from python.asgi.clients import Curl, Frame
from python.asgi.conftest import Process, Serve
from recovery.asgi import Access, Hub, anyone, stream
from recovery.cluster import Cluster
from tcp_proxy import Proxy

Connection = psycopg.Connection[Any]


def ids(frames: list[Frame]) -> list[int]:
    return [frame.data["id"] for frame in frames]


def everything(conn: Connection) -> list[int]:
    return [row[0] for row in conn.execute("select id from recovery.event order by id")]


def since(position: str) -> dict[str, str]:
    return {"Last-Event-ID": position}


def test_after_an_id(dsn: str, conn: Connection, jobs: Any, serve: Serve) -> None:
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 2000)
    recovery.boot(dsn, "api-1")
    all_ = everything(conn)
    url = serve(Hub(dsn).events(authorize=anyone))
    for query, header, wanted in (
        ("?after=0", {}, all_),
        (f"?after={all_[700]}", {}, all_[701:]),
        (f"?after={all_[2100]}", {}, all_[2101:]),  # in the middle of a closing
        (f"?after={all_[-1]}", {}, []),
        ("?after=0", since(str(all_[2500])), all_[2501:]),  # where it stands wins
    ):
        with Curl(f"{url}/{query}", header) as curl:
            curl.connected()
            assert ids(curl.wait_rows(len(wanted))) == wanted
            assert [f.id for f in curl.rows] == [str(f.data["id"]) for f in curl.rows]
    with Curl(f"{url}/?after={all_[-1]}") as curl:
        curl.connected()
        owner = recovery.boot(dsn, "api-1")
        jobs(owner.epoch)
        assert ids(curl.wait_rows(1)) == everything(conn)[len(all_) :]


@pytest.mark.parametrize(
    "query", ["group=s2", "group=s2&kind=closed", "reason=superseded", "topic=no"]
)
def test_the_same_filters_as_live(dsn: str, jobs: Any, serve: Serve, query: str) -> None:
    url = serve(Hub(dsn).events(authorize=anyone))
    with Curl(f"{url}/?{query}") as live:
        live.connected()
        owner = recovery.boot(dsn, "api-1")
        for n in range(60):
            jobs(owner.epoch, 10, session=f"s{n % 3}")
        owner = recovery.boot(dsn, "api-1")
        with Curl(url) as mark:
            mark.connected()
            jobs(owner.epoch, session="last")
            mark.wait_rows(1)
        with Curl(f"{url}/?{query}&after=0") as again, Curl(f"{url}/?after=0") as all_:
            end = all_.wait_rows(1201)[-1].data
            assert end["group"] == "last"
            wait_for(lambda: ids(again.rows) == ids(live.rows))
            wanted = {"group=s2": 400, "group=s2&kind=closed": 200, "reason=superseded": 600}
            assert len(live.rows) == wanted.get(query, 0)


@pytest.mark.parametrize("access", [["a"], lambda group: group == "a"], ids=["groups", "question"])
def test_tenants_are_told_apart_in_a_replay(
    dsn: str, jobs: Any, serve: Serve, access: Access
) -> None:
    owner = recovery.boot(dsn, "api-1")
    for group in ("a", "b", "a", "c"):
        jobs(owner.epoch, 3, session=group)
    url = serve(Hub(dsn).events(authorize=lambda request: access))
    with Curl(f"{url}/?after=0") as curl:
        curl.wait_rows(6)
        jobs(owner.epoch, session="b")
        jobs(owner.epoch, session="a")
        rows = curl.wait_rows(7)
        assert len(rows) == 7
        assert {frame.data["group"] for frame in rows} == {"a"}


def test_p09_what_was_in_flight_when_a_client_left_comes_when_it_is_back(
    dsn: str, connect: Any, jobs: Any, serve: Serve
) -> None:
    """P9: and what it has had does not come again."""
    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn).events(authorize=anyone))
    insert = "insert into public.job (server_epoch, session) values (%s, %s)"
    late, undone, later = (connect(autocommit=False) for _ in range(3))
    with Curl(url) as first:
        first.connected()
        late.execute(insert, [owner.epoch, "late"])
        jobs(owner.epoch, session="one")
        undone.execute(insert, [owner.epoch, "undone"])
        jobs(owner.epoch, session="two")
        later.execute(insert, [owner.epoch, "later"])
        jobs(owner.epoch, session="three")
        rows = first.wait_rows(3)
        positions = [frame.id for frame in rows]
    late.commit()
    undone.rollback()
    for had, position in enumerate(positions, 1):
        with Curl(url, since(str(position))) as again:
            wanted = {"late", *["two", "three"][had - 1 :]}
            assert {f.data["group"] for f in again.wait_rows(len(wanted))} == wanted
            if had == 3:
                later.commit()
                assert again.wait_rows(len(wanted) + 1)[-1].data["group"] == "later"
            assert len(again.rows) == len({f.data["id"] for f in again.rows})


def test_p09_what_is_in_flight_during_a_replay_shows_in_the_ids(
    dsn: str, connect: Any, jobs: Any, serve: Serve
) -> None:
    """P9: a client that leaves again at once."""
    owner = recovery.boot(dsn, "api-1")
    late = connect(autocommit=False)
    late.execute(
        "insert into public.job (server_epoch, session) values (%s, 'late')", [owner.epoch]
    )
    jobs(owner.epoch, session="one")
    jobs(owner.epoch, session="two")
    url = serve(Hub(dsn).events(authorize=anyone))
    with Curl(f"{url}/?after=0") as first:
        positions = [str(frame.id) for frame in first.wait_rows(2)]
    late.commit()
    for position, wanted in zip(positions, ({"late", "two"}, {"late"}), strict=True):
        with Curl(url, since(position)) as again:
            assert {f.data["group"] for f in again.wait_rows(len(wanted))} == wanted


def test_p09_between_replay_and_live_nothing_is_lost_or_doubled(
    dsn: str, conn: Connection, connect: Any, jobs: Any, serve: Serve
) -> None:
    """P9: clients that come at any moment, beside writers that commit in any order, and roll back."""
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 800)
    url = serve(Hub(dsn, maxsize=100_000).events(authorize=anyone))
    over = threading.Event()

    def write(own: Connection, seed: int) -> None:
        for number in itertools.count():
            if over.is_set():
                break
            with own.transaction(force_rollback=number % 5 == seed):
                own.execute("insert into public.job (server_epoch) values (%s)", [owner.epoch])
                time.sleep(0.001 * ((number * 7 + seed) % 9))
                own.execute("insert into public.job (server_epoch) values (%s)", [owner.epoch])

    writers = [threading.Thread(target=write, args=(connect(), n)) for n in range(4)]
    clients: list[Curl] = []
    try:
        for writer in writers:
            writer.start()
        for _ in range(12):
            clients.append(Curl(f"{url}/?after=0").__enter__())
            time.sleep(0.1)
    finally:
        over.set()
        for writer in writers:
            writer.join()
    try:
        all_ = everything(conn)
        for curl in clients:
            curl.wait_rows(len(all_), 20)
            assert sorted(ids(curl.rows)) == all_  # each, and each once
    finally:
        for curl in clients:
            curl.__exit__(None, None, None)
    assert len(all_) > 800  # the writers did write


def test_p09_what_is_written_just_when_a_client_changes_over(
    dsn: str, conn: Connection, jobs: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9: before the feed keeps it, after that, and before the last look: forced, one by one."""
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 3)
    at: list[str] = []
    add, resend = stream.Feed.add, stream._Talk._resend

    def slow_add(self: Any, client: Any) -> None:
        at.append("before")
        jobs(owner.epoch)
        add(self, client)
        at.append("after")
        jobs(owner.epoch)

    async def slow_resend(self: Any, *args: Any) -> None:
        await resend(self, *args)
        if len(at) == 2 and self._cursor:
            at.append("looked")
            jobs(owner.epoch)

    monkeypatch.setattr(stream.Feed, "add", slow_add)
    monkeypatch.setattr(stream._Talk, "_resend", slow_resend)
    url = serve(Hub(dsn).events(authorize=anyone))
    with Curl(f"{url}/?after=0") as curl:
        curl.wait_rows(6)
        jobs(owner.epoch)
        assert ids(curl.wait_rows(7)) == everything(conn)
    assert at == ["before", "after", "looked"]


def test_cut_and_reconnect(dsn: str, conn: Connection, jobs: Any, serve: Serve) -> None:
    """A client that is cut off again and again, with curl."""
    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn).events(authorize=anyone))
    got: list[int] = []
    position: str | None = None
    for turn in range(8):
        with Curl(url, {} if position is None else since(position)) as curl:
            curl.connected()
            jobs(owner.epoch, 20)
            curl.wait_rows(20)
            got += ids(curl.rows)
            position = curl.last_id
        jobs(owner.epoch, 5)  # nobody is there
        if turn == 4:
            owner = recovery.boot(dsn, "api-1")
    with Curl(url, since(str(position))) as curl:
        got += ids(curl.wait_rows(5))
    all_ = everything(conn)
    assert len(got) == len(set(got))
    assert set(all_) == set(got)


def test_a_client_that_is_ahead_of_the_hub(
    dsn: str, conn: Connection, jobs: Any, serve: Serve
) -> None:
    """It had events from a replay; the hub, which reads them late, does not bring them once more."""
    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn, heartbeat=0.3).events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
    pid = conn.execute(
        "select pid from pg_stat_activity where application_name like '%listener%'"
        " and datname = current_database()"
    ).fetchone()
    assert pid is not None
    listening = psutil.Process(pid[0])
    listening.suspend()
    try:
        jobs(owner.epoch, 20)
        with Curl(url, since("0")) as curl:
            first = curl.wait_rows(20)
            curl.wait_type("server.heartbeat")
            position = curl.last_id
        assert position == str(int(first[-1].id) + 99)
        with Curl(url, since(position)) as curl, Curl(url, since(str(first[9].id))) as other:
            curl.wait_type("server.heartbeat")
            other.wait_rows(10)
            listening.resume()
            jobs(owner.epoch, 2)
            all_ = everything(conn)
            assert ids(curl.wait_rows(2)) == all_[20:]
            assert ids(other.wait_rows(12)) == all_[10:]
            wait_for(lambda: curl.last_id == other.last_id == str(all_[-1] + 99))
            assert len(curl.rows) == 2
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):  # the hub may have given it up
            listening.resume()


def test_p09_the_server_is_killed_and_started_again(
    conn: Connection, dsn: str, jobs: Any, process: Callable[..., Process]
) -> None:
    """P9: with what was written meanwhile."""
    owner = recovery.boot(dsn, "api-1")
    server = process()
    got: list[int] = []
    position = "0"
    for _ in range(3):
        with Curl(f"{server.url}/rows", since(position)) as curl:
            curl.connected()
            jobs(owner.epoch, 50)
            curl.wait_rows(20)
            server.kill()
            curl.ended()
            got += ids(curl.rows)
            position = curl.last_id
        jobs(owner.epoch, 10)
        server.start()
    with Curl(f"{server.url}/rows", since(position)) as curl:
        jobs(owner.epoch)
        wait_for(lambda: set(got) | set(ids(curl.rows)) == set(everything(conn)))
        got += ids(curl.rows)
    assert len(got) == len(set(got))


def test_a_slow_client_goes_on_where_it_was_told(
    dsn: str, conn: Connection, jobs: Any, serve: Serve
) -> None:
    import signal

    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn, maxsize=200).events(authorize=anyone))
    with Curl(url) as slow:
        slow.connected()
        slow.process.send_signal(signal.SIGSTOP)
        for _ in range(40):
            conn.execute(
                "insert into public.job (server_epoch, error)"
                " select %s, repeat('x', 3000) from generate_series(1, 250)",
                [owner.epoch],
            )
        slow.process.send_signal(signal.SIGCONT)
        slow.ended(20)
    end = slow.frames[-1]
    assert end.data["reason"] == "slow"
    all_ = everything(conn)
    assert len(slow.rows) < len(all_)
    with Curl(f"{url}/?after={end.data['after']}") as again:
        wait_for(lambda: ids(again.rows)[-1:] == all_[-1:], 20)
        # At least once: what it had just got may come again, with the same ids.
        got = ids(slow.rows)
        repeated = [id_ for id_ in ids(again.rows) if id_ <= got[-1]]
        assert got + ids(again.rows)[len(repeated) :] == all_
        assert repeated == got[len(got) - len(repeated) :]


def test_a_position_whose_events_were_dropped(
    dsn: str, conn: Connection, jobs: Any, serve: Serve
) -> None:
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 10)
    all_ = everything(conn)
    conn.execute("update recovery.event_floor set id = %s", [all_[4] + 99])
    conn.execute("delete from recovery.outbox where id <= %s", [all_[4]])
    url = serve(Hub(dsn).events(authorize=anyone))
    with Curl(url, since(str(all_[1]))) as curl:
        curl.wait_rows(5)
        gap = curl.frames[1]
        assert gap.event == "server.gap"
        assert gap.data == {"why": "dropped", "after": all_[1], "to": all_[4] + 99}
        assert ids(curl.rows) == all_[5:]
    with Curl(f"{url}/?after=0") as curl:  # whatever is kept: nothing is missing there
        assert ids(curl.wait_rows(5)) == all_[5:]
        assert all(frame.event != "server.gap" for frame in curl.frames)


def test_p09_a_failover_that_lost_events(jobs_on: Any, serve: Serve) -> None:
    """P9: their ids are given out again, and who was there before must hear of the new ones."""
    with Cluster() as primary:
        jobs = jobs_on(primary.dsn())
        owner = recovery.boot(primary.dsn(), "api-1")
        jobs(owner.epoch, 5)
        with primary.replica("standby") as replica, Proxy(primary.dsn(host="tcp")) as proxy:
            url = serve(Hub(proxy.dsn, heartbeat=0.3).events(authorize=anyone))
            with Curl(f"{url}/?after=0") as stays, Curl(f"{url}/?after=0") as leaves:
                for curl in (stays, leaves):
                    curl.wait_rows(5)
                with psycopg.connect(primary.dsn(), autocommit=True) as conn:
                    cut_off(conn, replica)
                jobs(owner.epoch, 3)
                for curl in (stays, leaves):
                    curl.wait_rows(8)
                position = leaves.rows[-1].id
                leaves.__exit__(None, None, None)
                primary.kill()
                replica.promote()
                again = recovery.boot(replica.dsn(), "api-1", policy="replace")
                with psycopg.connect(replica.dsn(), autocommit=True) as conn:
                    conn.execute(
                        "insert into job (server_epoch) select %s from generate_series(1, 20)",
                        [again.epoch],
                    )
                    new = set(everything(conn)[5:])
                proxy.aim(replica.dsn())
                proxy.cut()
                assert int(str(position)) in new  # given out anew
                stays.wait(lambda: new <= set(ids(stays.rows[8:])), "the new ones", 30)
                stays.wait(lambda: stays.last_id.endswith("@2"), "a heartbeat")
                with Curl(url, since(str(position))) as back:
                    back.wait(lambda: new <= set(ids(back.rows)), "the new ones")
                    assert back.wait_type("server.gap").data["why"] == "lost"
                    back.wait(lambda: back.last_id.endswith("@2"), "a heartbeat")
                    position = back.last_id
                with Curl(url, since(str(position))) as quiet:
                    quiet.wait_type("server.heartbeat")
                    assert quiet.rows == []
                    assert all(frame.event != "server.gap" for frame in quiet.frames)


def test_p09_a_replay_that_a_failover_meets(jobs_on: Any, serve: Serve) -> None:
    """P9: it has just read lost events; the listener tells the new ones before the client is there."""
    with Cluster() as primary:
        jobs = jobs_on(primary.dsn())
        owner = recovery.boot(primary.dsn(), "api-1")
        jobs(owner.epoch, 5)
        with primary.replica("standby") as replica, Proxy(primary.dsn(host="tcp")) as proxy:
            hub = Hub(proxy.dsn, heartbeat=0.3)
            url = serve(hub.events(authorize=anyone))
            reached, go_on = threading.Event(), threading.Event()
            with Curl(f"{url}/?after=0") as live:
                live.wait_rows(5)
                with psycopg.connect(primary.dsn(), autocommit=True) as conn:
                    cut_off(conn, replica)
                jobs(owner.epoch, 3)
                live.wait_rows(8)
                life = hub._shared._life
                assert life is not None
                replay = life.replay

                async def hold(call: Any) -> Any:
                    found = await replay(call)
                    if len(getattr(found, "events", ())) == 8:
                        reached.set()
                        await asyncio.to_thread(go_on.wait, 60)
                    return found

                life.replay = hold  # type: ignore[method-assign]
                try:
                    with Curl(f"{url}/?after=0") as late:
                        assert reached.wait(20)
                        primary.kill()
                        replica.promote()
                        again = recovery.boot(replica.dsn(), "api-1", policy="replace")
                        with psycopg.connect(replica.dsn(), autocommit=True) as conn:
                            conn.execute(
                                "insert into job (server_epoch) select %s from generate_series(1, 5)",
                                [again.epoch],
                            )
                            new = told(conn)[5:]
                        proxy.aim(replica.dsn())
                        proxy.cut()
                        live.wait(lambda: set(new) <= when(live.rows), "told by the listener", 30)
                        go_on.set()
                        late.wait(lambda: set(new) <= when(late.rows), "the new ones", 30)
                        assert min(new)[0] <= ids(late.rows[:8])[-1]  # given out anew
                finally:
                    go_on.set()


def told(conn: Connection) -> list[tuple[int, str]]:
    """Id and time of all events."""
    rows = conn.execute("select id, at from recovery.event order by id").fetchall()
    return [(id_, at.astimezone(UTC).isoformat()) for id_, at in rows]


def when(frames: list[Frame]) -> set[tuple[int, str]]:
    return {
        (frame.data["id"], datetime.fromisoformat(frame.data["at"]).astimezone(UTC).isoformat())
        for frame in frames
    }


def test_a_gap_is_told_to_all(dsn: str, conn: Connection, jobs: Any, serve: Serve) -> None:
    """What could not be told one by one, whatever a client filters by."""
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch)
    url = serve(Hub(dsn).events(authorize=lambda request: ["s1"]))
    with Curl(f"{url}/?kind=closed&group=s1") as live, Curl(f"{url}/?watch=other") as other:
        live.connected()
        other.connected()
        conn.execute("alter table public.job disable trigger all")
        live.wait(lambda: "gap" in [frame.type for frame in live.rows], "gap")
        assert live.rows[-1].data["watch"] == "public.job"
        assert live.rows[-1].data["new"]["why"] == "triggers_disabled"
        with Curl(f"{url}/?kind=closed&group=s1&after=0") as again:
            again.wait(lambda: ids(again.rows) == ids(live.rows), "the same in a replay")
        assert other.rows == []
