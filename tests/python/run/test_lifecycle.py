"""`recovery run`: signals, exit codes, and what becomes of the command whoever dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import recovery
from helpers import children, wait_for
from python.run.conftest import (
    COMMAND,
    HERE,
    PYTHONPATH,
    SIGNALS,
    Run,
    Start,
    alive,
    environment,
    live,
    states,
)
from recovery.cluster import Cluster
from recovery.schema import upgrade
from tcp_proxy import Proxy

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(180)]

WORKER = (sys.executable, str(HERE / "programs/psycopg_worker.py"))
TELLING = (sys.executable, str(HERE / "programs/signals.py"))
DEAF = "trap '' TERM; echo $$; while :; do sleep 0.1; done"


def reasons(conn: Any) -> list[str]:
    return [row[0] for row in conn.execute("select reason from recovery.server order by epoch")]


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("exit 0", 0, "shutdown"),
        ("exit 3", 3, "process_dead"),
        ("kill -9 $$", 137, "process_dead"),
        ("kill -SEGV $$", 139, "process_dead"),
        ("kill -TERM $$", 143, "process_dead"),
    ],
)
def test_exit_codes(table: Any, start: Start, script: str, code: int, reason: str) -> None:
    """The command's own; and what it leaves open says whether it went in order."""
    one = start("w-1", "sh", "-c", script)
    assert one.end() == code, one.errors
    assert reasons(table) == [reason]


def test_a_crash_closes_its_rows_at_once(table: Any, start: Start) -> None:
    """And so does an end without a crash, for another reason."""
    one = start("w-1", *WORKER, options=["--lease", "60"])
    job = one.number()
    (command,) = commands(one)
    command.kill()
    assert one.end() == 137
    assert states(table) == {job: ("failed", "process_dead")}


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["w", "--", "no-such-command"], 127, "no-such-command: command not found"),
        (["w", "--", "./no/such"], 127, "./no/such: no such file"),
        (["w", "--", "{plain}"], 126, "is not executable"),
        (["w", "--", "/tmp"], 126, "is a directory"),
        (["w", "--", "{shebang}"], 127, "No such file or directory"),
        (["w", "--", "{garbage}"], 126, "Exec format error"),
        (["w", "sleep", "1"], 2, "put -- before the command"),
        (["w", "--"], 2, "the command is missing"),
        (["w"], 2, "put -- before the command"),
        (["--", "sleep", "1"], 2, "before -- stand one name and options"),
        (["w", "x", "--", "sleep", "1"], 2, "before -- stand one name and options"),
        (["w", "--lease", "soon", "--", "sleep", "1"], 2, "--lease"),
        (["w", "--lease", "-1", "--", "sleep", "1"], 2, "lease"),
        (["w", "--stop-grace", "-1", "--", "sleep", "1"], 2, "--stop-grace -1"),
        (["", "--", "sleep", "1"], 2, "name"),
    ],
)
def test_what_can_not_be_run(
    table: Any, dsn: str, tmp_path: Path, args: list[str], code: int, message: str
) -> None:
    """One line, a shell's exit codes, and no epoch that lives on."""
    files = {"plain": "echo", "shebang": "#!/no/such/shell\n", "garbage": "\0garbage"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name == "plain" else 0o755)
    paths = {name: str(tmp_path / name) for name in files}
    done = subprocess.run(
        [*COMMAND, *(arg.format(**paths) for arg in args)],
        env=environment(dsn),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("recovery: ")
    assert message in last
    assert done.stdout == ""
    assert live(table) == []


def test_its_own_options_stand_on_both_sides_of_the_name(table: Any, dsn: str) -> None:
    """What stands after -- is the command's, though it looks like ours."""
    done = subprocess.run(
        [*COMMAND, "--lease", "20", "w", "--grace", "2", "--", "echo", "--lease", "--", "-h"],
        env=environment(dsn),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "--lease -- -h\n", done
    row = table.execute("select lease::text, grace::text from recovery.server").fetchone()
    assert row == ("00:00:20", "00:00:02")


@pytest.mark.parametrize("number", [*SIGNALS[1:], signal.SIGWINCH, signal.SIGQUIT])
def test_signals_are_handed_on_once(start: Start, table: Any, number: signal.Signals) -> None:
    """To the command, not to its children: it knows what to do with them."""
    one = start("w-1", *TELLING, options=["--stop-grace", "60"])
    one.said(2)
    one.send(number)
    one.said(3)
    one.send(signal.SIGTERM)
    assert one.end() == 5, one.errors
    got = [line for line in one.out if not line.endswith("ready")]
    # The child is told to end when its parent has.
    assert got == [f"parent {number.name}", "parent SIGTERM", "child SIGTERM"]
    assert live(table) == []


def test_a_command_that_does_not_end_is_killed(table: Any, start: Start) -> None:
    one = start("w-1", "sh", "-c", DEAF, options=["--stop-grace", "0.5"])
    pid = one.number()
    one.send(signal.SIGTERM)
    assert one.end() == 137
    assert not alive(pid)
    assert "did not end in time and was killed" in one.errors
    assert reasons(table) == ["shutdown"]


def test_what_the_command_leaves_is_stopped(table: Any, start: Start) -> None:
    """Daemons too, which have left its process group and its session."""
    script = "setsid sh -c 'trap \"\" TERM; echo $$; sleep 600; sleep 600' & sleep 1; exit 4"
    one = start("w-1", "sh", "-c", script, options=["--stop-grace", "0.5"])
    daemon = one.number()
    assert one.end() == 4
    assert not alive(daemon)
    assert "process(es) that the command has left" in one.errors


def commands(one: Run) -> list[psutil.Process]:
    """The command, below the guardian."""
    (guardian,) = psutil.Process(one.pid).children()
    return guardian.children()


def test_zombies_are_waited_for(table: Any, start: Start) -> None:
    """A child whose parent has gone comes to the guardian, which takes its exit code."""
    script = "for i in 1 2 3 4 5; do (sleep 0.2 &) ; done; echo $$; exec sleep 600"
    one = start("w-1", "sh", "-c", script)
    command = one.number()
    (guardian,) = psutil.Process(one.pid).children()
    wait_for(lambda: len(guardian.children()) == 6, what="the orphans to come")
    wait_for(lambda: [p.pid for p in guardian.children()] == [command], what="their end")


def test_killed_nothing_of_it_lives_on(table: Any, start: Start) -> None:
    """kill -9 of `recovery run` alone: the command ends in order, and all that it has started."""
    script = f"{' '.join(WORKER)} & setsid sleep 600 & echo $!; wait"
    with recovery.serve(table, "other", lease=6, grace=0.5, sweep=0.3, listen=False):
        one = start("w-1", "sh", "-c", script, options=["--lease", "6", "--grace", "0.5"])
        numbers = [int(line) for line in one.said(2)]
        (job,) = states(table)
        (daemon,) = [number for number in numbers if number != job] or [numbers[0]]
        tree = [p.pid for p in psutil.Process(one.pid).children(recursive=True)]
        assert len(tree) >= 4
        assert daemon in tree
        one.kill()
        wait_for(lambda: not any(alive(pid) for pid in tree), 20)
        wait_for(lambda: states(table)[job][0] == "failed", 20)
        assert live(table) == ["other"]


def test_killed_with_a_deaf_command(table: Any, start: Start) -> None:
    one = start("w-1", "sh", "-c", DEAF, options=["--stop-grace", "0.5"])
    pid = one.number()
    one.kill()
    wait_for(lambda: not alive(pid), 10)
    one.end()
    assert "recovery run has died: stopping its command" in one.errors


def test_its_guardian_is_killed(table: Any, start: Start) -> None:
    """The kernel kills the command; `recovery run` stops the rest and closes what was open."""
    script = f"setsid {' '.join(WORKER)} & exec sleep 600"
    one = start("w-1", "sh", "-c", script, options=["--stop-grace", "5"])
    job = one.number()
    (guardian,) = psutil.Process(one.pid).children()
    tree = [p.pid for p in guardian.children(recursive=True)]
    assert len(tree) == 2
    guardian.kill()
    assert one.end() == 137
    assert "the guardian of the command was killed" in one.errors
    wait_for(lambda: not any(alive(pid) for pid in tree), 10)
    assert states(table) == {job: ("failed", "process_dead")}


def test_all_are_killed_at_once(table: Any, start: Start) -> None:
    """What survives is found by the next boot of the name on this host, and by no other's."""
    script = "setsid sleep 600 & echo $!; exec sleep 600"
    one, other = (start(name, "sh", "-c", script) for name in ("w-1", "w-2"))
    lost, kept = one.number(), other.number()
    (guardian,) = psutil.Process(one.pid).children()
    (command,) = [p for p in guardian.children() if p.pid != lost]
    wait_for(lambda: os.getsid(lost) == lost, 10)
    for process in (psutil.Process(one.pid), guardian):  # neither can wake the other
        process.suspend()
        wait_for(lambda process=process: process.status() == psutil.STATUS_STOPPED, 10)
    # In this order: the kernel wakes a stopped process group that its parent's death makes an orphan.
    guardian.kill()
    one.kill()
    wait_for(lambda: not command.is_running() or command.status() == "zombie", 10)
    assert alive(lost)
    third = start("w-3", "echo", "done")
    assert third.end() == 0
    assert alive(lost)
    again = start("w-1", "echo", "done")
    assert again.end() == 0, again.errors
    assert f"stops process {lost}, left running by an earlier life" in again.errors
    assert not alive(lost)
    assert alive(kept)


def test_a_live_sibling_is_left_alone(table: Any, start: Start) -> None:
    """Replicas share a name."""
    first = start("w-1", *WORKER)
    job = first.number()
    second = start("w-1", "echo", "done")
    assert second.end() == 0
    assert first.process.poll() is None
    assert states(table) == {job: ("running", None)}


@pytest.mark.parametrize("how", ["evicted", "superseded"])
def test_its_epoch_is_ended(table: Any, dsn: str, start: Start, how: str) -> None:
    """P4: the command is stopped, and somebody who waits for it hears why."""
    one = start("w-1", *WORKER, options=["--lease", "3"])
    job = one.number()
    if how == "evicted":
        recovery.evict(dsn, "w-1")
    else:
        recovery.boot(dsn, "w-1", policy="replace")
    assert one.end() == 70, one.errors
    assert states(table) == {job: ("failed", how)}
    assert "w-1 may not go on, the command is stopped" in one.errors
    assert how in one.errors


def test_a_deaf_command_of_an_ended_epoch(table: Any, dsn: str, start: Start) -> None:
    one = start("w-1", "sh", "-c", DEAF, options=["--lease", "3", "--stop-grace", "0.5"])
    pid = one.number()
    recovery.evict(dsn, "w-1")
    assert one.end() == 70, one.errors
    assert not alive(pid)


def test_the_lease_is_lost(table: Any, start: Start, proxy: Proxy) -> None:
    """No heartbeat is answered for a lease: others may have declared it dead."""
    one = start("w-1", "sh", "-c", "echo $$; exec sleep 600", at=proxy.dsn, options=LEASE)
    pid = one.number()
    proxy.freeze()
    wait_for(lambda: not alive(pid), 20)
    proxy.cut()
    proxy.thaw()
    assert one.end() == 70, one.errors
    assert "had no answer to a heartbeat" in one.errors


LEASE = ["--lease", "2", "--grace", "1"]


def test_an_outage_is_ridden_out(table: Any, start: Start, proxy: Proxy) -> None:
    """With --ride-out the command goes on, and is stopped only if somebody has ended its epoch."""
    options = [*LEASE, "--ride-out", "--sweep", "0"]
    one = start("w-1", "sh", "-c", "echo $$; exec sleep 600", at=proxy.dsn, options=options)
    pid = one.number()
    proxy.freeze()
    wait_for(lambda: "the command goes on" in one.errors, 20)
    proxy.cut()
    proxy.thaw()
    before = table.execute("select heartbeat from recovery.server").fetchone()
    wait_for(
        lambda: table.execute("select heartbeat from recovery.server").fetchone() != before, 20
    )
    assert alive(pid)
    one.send(signal.SIGTERM)
    assert one.end() == 143


FINISHES = """
import os, psycopg, time
with psycopg.connect(os.environ["APP_DSN"], autocommit=True) as conn:
    (id_,) = conn.execute("insert into job (status) values ('running') returning id").fetchone()
    print(id_, flush=True)
    while not conn.execute("select beats > 0 from job where id = %s", [id_]).fetchone()[0]:
        time.sleep(0.05)
    conn.execute("update job set status = 'done' where id = %s", [id_])
    print("done", flush=True)
    try:
        conn.execute("insert into job (status) values ('running')")
    except psycopg.Error as error:
        print(error.sqlstate, flush=True)
    time.sleep(600)
"""


def test_it_drains(table: Any, start: Start) -> None:
    """With --drain the command ends its open work before it hears of it, and begins none."""
    one = start("w-1", sys.executable, "-c", FINISHES, options=["--drain", "60"])
    job = one.number()
    one.send(signal.SIGTERM)
    wait_for(
        lambda: table.execute("select drain_until from recovery.server").fetchone() != (None,), 20
    )
    assert one.process.poll() is None
    table.execute("update job set beats = 1")
    assert one.end() == 143, one.errors
    assert states(table) == {job: ("done", None)}
    assert all(re.fullmatch(r"\d+|done|RC\d\d\d", line) for line in one.out)


def test_a_drain_has_its_limit(table: Any, start: Start) -> None:
    """And a second SIGTERM ends it."""
    one = start("w-1", *WORKER, options=["--drain", "1"])
    job = one.number()
    one.send(signal.SIGTERM)
    assert one.end() == 143
    assert states(table)[job][0] == "failed"
    two = start("w-1", *WORKER, options=["--drain", "600"])
    two.number()
    two.send(signal.SIGTERM)
    wait_for(lambda: "drains for up to 600 s" in two.errors, 20)
    two.send(signal.SIGTERM)
    assert two.end() == 143


def test_without_a_drain_its_work_closes(table: Any, start: Start) -> None:
    one = start("w-1", sys.executable, "-c", FINISHES)
    job = one.number()
    one.send(signal.SIGTERM)
    assert one.end() == 143
    assert states(table) == {job: ("failed", "shutdown")}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_database_is_down(start: Start, tmp_path: Path) -> None:
    dsn = f"postgresql://me:geheim@127.0.0.1:{free_port()}/shop"
    mark = tmp_path / "ran"
    env = environment_of(dsn)
    done = subprocess.run(
        [*COMMAND, "w-1", "--", "touch", str(mark)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("recovery: cannot connect to 127.0.0.1:")
    assert done.stderr.count("\n") == 1
    assert "geheim" not in done.stderr
    assert not mark.exists()


def environment_of(dsn: str) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k[:2] != "PG" and k[:9] != "RECOVERY_"}
    return {**env, "RECOVERY_DSN": dsn, "PYTHONPATH": PYTHONPATH}


def test_it_waits_for_the_database(cluster: Any) -> None:
    with Cluster(cluster.major) as mine:
        dsn = mine.create_database("shop")
        upgrade(dsn)
        mine.stop()
        env = environment_of(dsn)
        short = Run([*COMMAND, "w-1", "--wait", "1", "--", "echo", "never"], env)
        assert short.end() == 3
        one = Run([*COMMAND, "w-1", "--wait", "120", "--", "echo", "done"], env)
        try:
            wait_for(lambda: "waits for the database" in one.errors, 30)
            mine.start()
            assert one.end(60) == 0, one.errors
            assert one.out == ["done"]
        finally:
            one.close()


def test_stopped_while_it_waits(cluster: Any) -> None:
    """A signal is not kept waiting, and nothing was started."""
    one = Run(
        [*COMMAND, "w-1", "--wait", "600", "--", "echo", "never"],
        environment_of(f"postgresql://me@127.0.0.1:{free_port()}/shop"),
    )
    try:
        wait_for(lambda: "waits for the database" in one.errors, 30)
        began = time.monotonic()
        one.send(signal.SIGTERM)
        assert one.end() == 143
        assert time.monotonic() - began < 10
        assert one.out == []
    finally:
        one.close()


def test_the_schema_is_missing(empty_dsn: str) -> None:
    done = subprocess.run(
        [*COMMAND, "w-1", "--", "echo", "never"],
        env=environment(empty_dsn),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "recovery migrate upgrade" in done.stderr


class Terminal:
    """A program in a pseudo-terminal that controls it."""

    def __init__(self, args: list[str], env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()

        def control() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            args,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=control,
        )
        os.close(slave)
        self.text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                got = os.read(self._master, 4096)
            except OSError:  # nobody has it open any more
                return
            if not got:
                return
            self.text += got.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, pattern: str, timeout: float = 30) -> None:
        try:
            wait_for(lambda: re.search(pattern, self.text), timeout, what=pattern)
        except TimeoutError as error:
            raise AssertionError(self.text) from error

    def close(self) -> None:
        if self.process.poll() is None:
            for one in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            self.process.kill()
        self.process.wait()
        self._reader.join(10)
        os.close(self._master)


@contextmanager
def terminal(args: list[str], env: dict[str, str]) -> Iterator[Terminal]:
    one = Terminal(args, env)
    try:
        yield one
    finally:
        one.close()


def test_ctrl_c(table: Any, dsn: str) -> None:
    """The command and its children get it once, as without us; and read from the terminal."""
    args = [*COMMAND, "w-1", "--", *TELLING]
    with terminal(args, environment(dsn)) as one:
        one.until("parent ready")
        one.until("child ready")
        one.type("\x03")
        one.until("parent SIGINT")
        one.until("child SIGINT")
        one.type("\x03")
        wait_for(lambda: one.text.count("SIGINT") >= 4)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20) == 5
        assert one.text.count("parent SIGINT") == one.text.count("child SIGINT") == 2
    with terminal([*COMMAND, "w-1", "--", "cat"], environment(dsn)) as one:
        one.until("has epoch")
        wait_for(lambda: len(psutil.Process(one.process.pid).children(recursive=True)) == 2)
        one.type("hello\n")
        one.until(r"hello\r\nhello")
        one.type("\x03")
        assert one.process.wait(20) == 130
    assert live(table) == []
    assert reasons(table)[-1] == "shutdown"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_ctrl_c_ends_a_script(table: Any, dsn: str, tmp_path: Path) -> None:
    """The shell of the script hears of it, too: a loop does not go on."""
    script = tmp_path / "loop.sh"
    run = " ".join([*COMMAND, "w-1", "--", "sh", "-c", "'echo round $i; exec sleep 600'"])
    script.write_text(f"for i in 1 2 3; do {run}; done\necho after\n")
    with terminal(["bash", str(script)], environment(dsn)) as one:
        one.until("round")
        wait_for(lambda: "sleep" in str(psutil.Process(one.process.pid).children(recursive=True)))
        one.type("\x03")
        one.process.wait(20)
        assert one.text.count("round") == 1
        assert "after" not in one.text


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_ctrl_z_and_fg(table: Any, dsn: str) -> None:
    """Job control works as with the command alone."""
    with terminal(["bash", "--norc", "--noprofile", "-i"], environment(dsn)) as one:
        one.type(" ".join([*COMMAND, "w-1", "--", "cat"]) + "\n")
        one.until("has epoch")
        wait_for(lambda: "'cat'" in str(psutil.Process(one.process.pid).children(recursive=True)))
        one.type("first\n")
        one.until(r"first\r\nfirst")
        one.type("\x1a")
        one.until(r"\[1\]\+  Stopped")
        one.type("fg\n")
        wait_for(
            lambda: all(
                p.status() != "stopped"
                for p in psutil.Process(one.process.pid).children(recursive=True)
            )
        )
        one.type("second\n")
        one.until(r"second\r\nsecond")
        one.type("\x03")  # which also throws away what was typed ahead
        wait_for(lambda: not psutil.Process(one.process.pid).children(), 20)
        one.type("echo code=$?\n")
        one.until("code=130")
    assert live(table) == []


def inside() -> list[str]:
    args = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*args, "true"], check=False).returncode:
        pytest.skip("this user can't make a pid namespace")
    return args


def test_as_process_1(table: Any, dsn: str) -> None:
    """In a container: it takes signals, and waits for whoever is left to it."""
    script = "for i in 1 2 3; do (setsid sleep 0.2 &); done; sleep 1; ps -e -o pid=,stat=,comm=; echo ready; exec sleep 600"
    one = Run([*inside(), *COMMAND, "w-1", "--", "sh", "-c", script], environment(dsn))
    try:
        wait_for(lambda: "ready" in one.out or one.process.poll() is not None, 30)
        assert "ready" in one.out, one.errors
        assert [line for line in one.out if " Z" in line] == []
        children(one.pid, "recovery.cli")[0].terminate()
        assert one.end() == 143
    finally:
        one.close()
    assert live(table) == []


def _pythons(version: str) -> list[str]:
    return [sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"]


def _works(python: str, site: str) -> bool:
    """Whether nobody may run an interpreter, and it finds our packages."""
    with contextlib.suppress(OSError):
        tried = subprocess.run(
            [python, "-c", "import psutil, psycopg, typer"],
            user="nobody",
            env={"PYTHONPATH": site, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=False,
        )
        return tried.returncode == 0
    return False


def test_as_an_ordinary_user(table: Any, dsn: str) -> None:
    """Which may look at its own processes only, and signals nobody else's."""
    if os.getuid() != 0:
        pytest.skip("all other tests are it")
    site = next(path for path in sys.path if path.endswith("site-packages"))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = next((path for path in _pythons(version) if _works(path, site)), None)
    if python is None:
        pytest.skip("nobody may run an interpreter that has our packages")
    env = environment(dsn, PYTHONPATH=f"{PYTHONPATH}:{site}", HOME="/", PYTHONDONTWRITEBYTECODE="1")
    args = [python, "-m", "recovery.cli", "run"]
    worker = [python, str(HERE / "programs/psycopg_worker.py")]
    one = Run([*args, "w-1", "--", *worker], env, user="nobody", group="nogroup", extra_groups=[])
    again = None
    try:
        lost = one.number()
        tree = [p.pid for p in psutil.Process(one.pid).children(recursive=True)]
        one.kill()
        again = Run(
            [*args, "w-1", "--", *worker], env, user="nobody", group="nogroup", extra_groups=[]
        )
        new = again.number()
        assert states(table)[lost][0] == "failed"
        assert states(table)[new] == ("running", None)
        wait_for(lambda: not any(alive(pid) for pid in tree), 15)
        again.send(signal.SIGTERM)
        assert again.end() == 143
    finally:
        one.close()
        if again is not None:
            again.close()
    assert live(table) == []


def test_help(dsn: str) -> None:
    """It says how the command is to be typed."""
    done = subprocess.run(
        [*COMMAND, "--help"], capture_output=True, text=True, check=True, env=environment(dsn)
    )
    assert "recovery run NAME [OPTIONS] -- COMMAND [ARGS]..." in done.stdout
