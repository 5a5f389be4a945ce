"""The consumers of examples/consumers, killed in the middle of their work and started again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from helpers import wait_for
from python.conftest import Insert

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "consumers"
LANGUAGES = ("node", "perl", "psql")
FILES = {"node": "consumer.js", "perl": "consumer.pl", "psql": "consumer.sh"}
#: Of the advisory lock behind which acknowledgements wait.
LOCK = 4711

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(180)]


class Consumer:
    """An example as a process group of its own, and the lines that it wrote."""

    def __init__(self, command: list[str], env: dict[str, str], folder: Path) -> None:
        self._command, self._env, self._folder = command, env, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (
            (self._folder / "events.txt").open("ab") as out,
            (self._folder / "errors.txt").open("ab") as errors,
        ):
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def lines(self) -> list[tuple[str, str]]:
        """Kind and key of each line that is complete."""
        assert self._process is None or self._process.poll() is None, self.errors()
        text = (self._folder / "events.txt").read_text()
        rows = [line.split(" ") for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [(row[1], row[3].strip()) for row in rows]

    def errors(self) -> str:
        return (self._folder / "errors.txt").read_text()


@pytest.fixture(params=LANGUAGES)
def consumer(
    request: pytest.FixtureRequest, dsn: str, cluster: Any, tmp_path: Path
) -> Iterator[Consumer]:
    """The example of a language, not started."""
    language = request.param
    given = conninfo_to_dict(dsn)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "RECOVERY_"))}
    env |= {"PGHOST": str(given["host"]), "PGPORT": str(given["port"])}
    env |= {"PGDATABASE": str(given["dbname"]), "PGUSER": str(given["user"])}
    file = str(EXAMPLES / FILES[language])
    if language == "node":
        env["NODE_PATH"] = str(request.getfixturevalue("node_modules"))
        command = ["node", file]
    elif language == "perl":
        found = subprocess.run(["perl", "-MDBD::Pg", "-e", "1"], capture_output=True, check=False)
        if found.returncode:
            pytest.skip("no DBD::Pg: apt-get install libdbd-pg-perl")
        command = ["perl", file]
    else:
        binaries = getattr(cluster, "binaries", None)
        if binaries is not None:
            env["PATH"] = os.pathsep.join([str(binaries.bin_dir), env["PATH"]])
        if shutil.which("psql", path=env["PATH"]) is None:
            pytest.skip("no psql")
        command = ["sh", file]
    one = Consumer(command, env, tmp_path)
    yield one
    one.kill()


@pytest.fixture
def slow_acknowledgements(conn: psycopg.Connection[Any]) -> None:
    """Acknowledgements, and nothing else, wait while somebody holds `LOCK`."""
    conn.execute(
        f"""
        create function wait_for_test() returns trigger language plpgsql as $$
        begin
            perform pg_advisory_xact_lock_shared({LOCK});
            return new;
        end $$;
        create trigger wait_for_test before update on recovery.consumer
        for each row when (new.page = old.page) execute function wait_for_test();
        """
    )


def test_p09_what_was_not_acknowledged_comes_again(
    consumer: Consumer, jobs: Insert, conn: psycopg.Connection[Any], slow_acknowledgements: None
) -> None:
    """P9: killed with kill -9 between its work and the acknowledgement."""
    consumer.start()
    [first] = jobs(None)
    wait_for(lambda: ("opened", str(first)) in consumer.lines(), 20)
    wait_for(lambda: is_done(conn), what="all is acknowledged")
    conn.execute("select pg_advisory_lock(%s)", [LOCK])
    second = jobs(None, 3)
    waiting = wait_for(lambda: acknowledging(conn), 20, what="an acknowledgement waits")
    assert consumer.lines().count(("opened", str(second[0]))) == 1
    consumer.kill()
    conn.execute("select pg_terminate_backend(%s, 10000)", [waiting])
    conn.execute("select pg_advisory_unlock(%s)", [LOCK])

    consumer.start()
    third = jobs(None)
    wait_for(lambda: ("opened", str(third[0])) in consumer.lines(), 20)
    count = Counter(consumer.lines())
    assert count["opened", str(first)] == 1
    assert all(count["opened", str(key)] == 2 for key in second), count


def test_p09_what_commits_late_comes_late(
    consumer: Consumer, jobs: Insert, conn: psycopg.Connection[Any], connect: Any
) -> None:
    """P9: an event with a lower id, written before the consumer died and committed after that."""
    slow = connect(autocommit=False)
    insert = "insert into job (status) values ('running') returning id"
    late = slow.execute(insert).fetchone()[0]
    consumer.start()
    early = jobs(None)
    wait_for(lambda: ("opened", str(early[0])) in consumer.lines(), 20)
    wait_for(lambda: is_done(conn), what="all is acknowledged")
    consumer.kill()

    consumer.start()
    more = jobs(None)
    wait_for(lambda: ("opened", str(more[0])) in consumer.lines(), 20)
    slow.commit()
    wait_for(lambda: ("opened", str(late)) in consumer.lines(), 20)
    wait_for(lambda: is_done(conn), what="all is acknowledged")
    assert set(Counter(consumer.lines()).values()) == {1}


@pytest.mark.slow
def test_p09_each_event_comes_at_least_once(
    consumer: Consumer, jobs: Insert, conn: psycopg.Connection[Any], connect: Any
) -> None:
    """P9: writers that commit out of order and roll back, a consumer that dies again and again."""
    committed: set[tuple[str, str]] = set()
    undone: set[str] = set()
    lock = threading.Lock()

    def write(seed: int) -> None:
        draw = random.Random(seed)
        mine = connect(autocommit=False)
        for _ in range(40):
            key, lost = (
                str(row[0])
                for row in mine.execute(
                    "insert into job (status) values ('running'), ('running') returning id"
                )
            )
            mine.execute("savepoint one")
            mine.execute("update job set status = 'failed' where id = %s", [lost])
            mine.execute("rollback to one")
            if closes := draw.random() < 0.5:
                mine.execute("update job set status = 'done' where id = %s", [key])
            time.sleep(draw.random() * 0.05)  # others commit in between
            fails = draw.random() < 0.3
            (mine.rollback if fails else mine.commit)()
            with lock:
                if fails:
                    undone.update((key, lost))
                else:
                    committed.update((("opened", key), ("opened", lost)))
                    committed.update({("closed", key)} if closes else ())

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    consumer.start()
    for writer in writers:
        writer.start()
    kills = 0
    while any(writer.is_alive() for writer in writers):
        before = len(consumer.lines())
        wait_for(
            lambda b=before: (
                len(consumer.lines()) > b + 20 or not any(writer.is_alive() for writer in writers)
            ),
            60,
        )
        consumer.kill()
        kills += 1
        consumer.start()
    for writer in writers:
        writer.join()
    wait_for(lambda: committed <= set(consumer.lines()), 60, what="all that was committed")
    wait_for(lambda: is_done(conn), what="all is acknowledged")
    assert kills > 1
    assert undone
    assert set(consumer.lines()) == committed


def is_done(conn: psycopg.Connection[Any]) -> bool:
    """Whether the consumer has acknowledged everything that is visible."""
    return (
        conn.execute(
            "select from recovery.consumer_status where lag = interval '0' and state = 'active'"
        ).rowcount
        > 0
    )


def acknowledging(conn: psycopg.Connection[Any]) -> int | None:
    """The backend that waits in an acknowledgement."""
    row = conn.execute(
        "select pid from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock' and query like '%acknowledge%' and pid <> pg_backend_pid()"
    ).fetchone()
    return None if row is None else row[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_short(language: str) -> None:
    lines = (EXAMPLES / FILES[language]).read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith(("#", "//"))]) <= 15
