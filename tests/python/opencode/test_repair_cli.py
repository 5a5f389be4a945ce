"""`recovery opencode repair`, run as a person would: from a terminal, with a typo, beside a living opencode."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from helpers import children, wait_for
from python.opencode import sqlite_stores
from python.opencode.test_repair import CRASHED, TOOL, edit, holder
from recovery.opencode.leftovers import leftovers
from recovery.opencode.where import default_path

pytestmark = [pytest.mark.timeout(300)]

COMMAND = [sys.executable, "-m", "recovery.cli", "opencode", "repair"]
PARENT, CHILD = "ses_e03d3cf64ffeETiasW3eDpUKPI", "ses_e03d3bf5bffe7IxZtnlv1GmrLS"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a crashed store where opencode keeps it."""
    folder = tmp_path / ".local" / "share" / "opencode"
    folder.mkdir(parents=True)
    shutil.copyfile(CRASHED, folder / "opencode.db")
    return tmp_path


@pytest.fixture
def store(home: Path) -> Path:
    return home / ".local" / "share" / "opencode" / "opencode.db"


def environment(home: Path, **more: str) -> dict[str, str]:
    names = {"XDG_DATA_HOME", "OPENCODE", "OPENCODE_PID", "OPENCODE_DB", "RECOVERY_DSN"}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "PYTHONIOENCODING": "utf-8", "HOME": str(home), **more}


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(home: Path) -> Run:
    def start(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, args)],
            env=environment(home, **env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def test_it_finds_the_store_and_says_what_it_did(run: Run, store: Path) -> None:
    before = sqlite_stores.dump(store)
    dry = run("--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert sqlite_stores.dump(store) == before
    for word in (
        PARENT,
        CHILD,
        "parent",
        "↳ sleep in child",
        "task",
        "bash",
        "nothing was changed",
    ):
        assert word in dry.stdout
    done = run("--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "closed 4 rows of 2 sessions" in done.stdout
    (backup,) = store.parent.glob("*.before-repair-*")
    assert f"backup: {backup}" in done.stdout
    assert sqlite_stores.dump(backup) == before
    again = run("--yes")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"nothing is in flight in {store}")
    assert len(list(store.parent.iterdir())) == 2


def test_json(run: Run, store: Path) -> None:
    said = json.loads(run("--json", "--dry-run", "--session", CHILD).stdout)
    assert said["store"] == str(store)
    assert said["written"] is None
    assert [s["id"] for s in said["sessions"]] == [CHILD]
    (session,) = said["sessions"]
    assert [tool["name"] for tool in session["tools"]] == ["bash"]
    assert {(c["table"], c["id"]) for c in said["changes"]} == {
        ("part", TOOL),
        ("message", "msg_1fc2c4130001D6XTxj9Ujf3PLD"),
    }
    paths = {e["path"] for c in said["changes"] for e in c["edits"]}
    assert {'$."state"."status"', '$."time"."completed"'} <= paths
    said = json.loads(run("--json", "--yes").stdout)
    assert said["written"]["rows"] == {"part": 2, "message": 2}
    assert Path(said["written"]["backup"]).exists()


def test_what_is_wrong_is_said_in_one_line(run: Run, store: Path, tmp_path: Path) -> None:
    before = sqlite_stores.dump(store)
    nothing = tmp_path / "nope.db"
    (tmp_path / "text").write_text("hello")
    for code, args, env, words in (
        (2, [], {}, "--yes or --dry-run"),  # nobody can be asked
        (2, ["--json"], {}, "--dry-run or --yes"),
        (2, ["--session", "ses_nope", "--yes"], {}, "no session ses_nope"),
        (2, ["--sesion", "x"], {}, "--sesion"),
        (1, [nothing, "--yes"], {}, f"{nothing}: there is no such file"),
        (1, [tmp_path, "--yes"], {}, "is a folder"),
        (1, [tmp_path / "text", "--yes"], {}, "is not a SQLite database"),
        (1, ["--yes"], {"XDG_DATA_HOME": str(tmp_path)}, "where opencode keeps it"),
        (1, ["--yes"], {"OPENCODE_DB": ":memory:"}, "keeps no store"),
        (1, ["--yes", "--backup", tmp_path / "text"], {}, "text: is there already"),
        (1, ["--yes", "--backup", tmp_path / "no" / "x"], {}, "no/x"),
    ):
        done = run(*args, **env)
        assert done.returncode == code, (args, done)
        assert words in done.stderr, (args, done)
        assert done.stderr.startswith("recovery: ")
        assert done.stderr.count("\n") == 1
    assert sqlite_stores.dump(store) == before
    assert [p.name for p in store.parent.iterdir()] == ["opencode.db"]


def test_refused_beside_a_living_opencode(run: Run, store: Path) -> None:
    with holder(store) as process:
        before = sqlite_stores.dump(store)
        for args in (["--yes"], ["--dry-run"], ["--json", "--yes"]):
            done = run(*args)
            assert done.returncode == 5
            assert done.stdout == ""
            assert f"in use by process {process.pid} " in done.stderr
            assert "nothing was changed" in done.stderr
        assert sqlite_stores.dump(store) == before


def test_what_is_not_understood_is_said_and_the_rest_repaired(run: Run, store: Path) -> None:
    edit(
        store,
        "insert into part select 'prt_new', message_id, session_id, time_created, time_updated,"
        """ '{"type":"dream","state":{"status":"running","time":{"start":1}}}' from part where id = ?""",
        TOOL,
    )
    done = run("--yes")
    assert done.returncode == 2
    assert "dream" in done.stdout
    assert "closed 4 rows" in done.stdout


def terminal(home: Path, typed: bytes, *args: str) -> tuple[int, str]:
    """Runs it on a terminal; what is typed once it asks."""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(COMMAND[0], [*COMMAND, *args], environment(home, TERM="xterm", COLUMNS="120"))
    shown, asked = b"", False
    end = time.monotonic() + 80
    while time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            shown += piece
        if b"[y/n]" in shown and not asked:
            asked = True
            os.write(master, typed)
    else:
        os.kill(pid, signal.SIGKILL)
        pytest.fail(f"it did not end: {shown!r}")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_it_asks_on_a_terminal(home: Path, store: Path) -> None:
    before = sqlite_stores.dump(store)
    code, shown = terminal(home, b"n\n")
    assert code == 0
    assert "nothing was changed" in shown
    code, shown = terminal(home, b"\x03")  # Ctrl-C
    assert code == 130
    assert "Traceback" not in shown
    assert sqlite_stores.dump(store) == before
    code, shown = terminal(home, b"y\n")
    assert code == 0
    assert "Close 4 rows of 2 sessions? A backup is made first." in shown
    assert "closed 4 rows of 2 sessions" in shown
    assert "starting PostgreSQL" in shown


def test_interrupted_it_leaves_nothing_behind(home: Path, store: Path) -> None:
    """Ctrl-C while the embedded PostgreSQL works: it goes, too, with its files."""
    before = sqlite_stores.dump(store)
    with subprocess.Popen(
        [*COMMAND, "--yes"],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        (server,) = wait_for(lambda: children(process.pid, "postgres -D "), 60)
        data = Path(server.cmdline()[2])
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    wait_for(lambda: not server.is_running() and not data.exists(), 20)
    assert sqlite_stores.dump(store) == before


# What opencode started lives on.


def start(home: Path, script: str, **env: str) -> subprocess.Popen[bytes]:
    """A process as opencode's bash starts it: the leader of a group of its own."""
    return subprocess.Popen(
        ["sh", "-c", script],
        env=environment(home, **env),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_row_30_what_opencode_left_running_is_named_and_reaped_if_asked(
    home: Path, run: Run, store: Path
) -> None:
    dead = str(dead_pid())
    left = start(home, "sleep 300 & wait", OPENCODE="1", OPENCODE_PID=dead)
    others = [
        start(home, "sleep 301", OPENCODE="1", OPENCODE_PID=str(os.getpid())),  # of a living one
        start(home, "sleep 302", OPENCODE="1", OPENCODE_PID=dead, XDG_DATA_HOME="/elsewhere"),
        start(home, "sleep 303", OPENCODE_PID=dead),
        start(home, "sleep 304"),
    ]
    try:
        wait_for(lambda: psutil.Process(left.pid).children())
        (child,) = psutil.Process(left.pid).children()
        found = leftovers(store)
        assert {p.pid for p in found} == {left.pid, child.pid}
        assert {p.opencode for p in found} == {int(dead)}
        done = run("--dry-run", "--reap")
        assert str(left.pid) in done.stdout
        assert "sleep 300" in done.stdout
        done = run("--yes")
        assert "--reap stops them" in done.stdout
        assert left.poll() is None
        assert child.is_running()
        done = run("--yes", "--reap")
        assert done.returncode == 0, done
        assert "stopped 2 processes" in done.stdout
        assert left.wait(5) == -signal.SIGTERM
        wait_for(lambda: not child.is_running())
        assert all(other.poll() is None for other in others)
        assert leftovers(store) == []
    finally:
        for process in (left, *others):
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            process.wait()


def test_a_pid_that_was_given_to_a_later_process_is_no_parent(home: Path, store: Path) -> None:
    # Its environment names a process that was started after it.
    orphan = subprocess.Popen(
        ["sh", "-c", "read pid; export OPENCODE_PID=$pid; exec sleep 300"],
        env=environment(home, OPENCODE="1"),
        start_new_session=True,
        stdin=subprocess.PIPE,
    )
    time.sleep(0.05)  # the kernel counts starts in hundredths of a second
    later = subprocess.Popen(["sleep", "300"])
    child = start(home, "exec sleep 300", OPENCODE="1", OPENCODE_PID=str(later.pid))
    try:
        assert orphan.stdin is not None
        orphan.stdin.write(f"{later.pid}\n".encode())
        orphan.stdin.close()
        wait_for(lambda: "OPENCODE_PID" in psutil.Process(orphan.pid).environ())
        assert [p.pid for p in leftovers(store)] == [orphan.pid]
    finally:
        for process in (orphan, child, later):
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/h"}, "/h/.local/share/opencode/opencode.db"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x/opencode/opencode.db"),
        ({"HOME": "/h", "OPENCODE_DB": "mine.db"}, "/h/.local/share/opencode/mine.db"),
        ({"HOME": "/h", "OPENCODE_DB": "/a/b.db"}, "/a/b.db"),
        ({"USERPROFILE": "/u"}, "/u/.local/share/opencode/opencode.db"),
    ],
)
def test_where_opencode_keeps_it(environ: dict[str, str], path: str) -> None:
    assert default_path(environ) == Path(path)
