"""A real PgBouncer before a database, with server connections that do not live long."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from helpers import wait_for
from recovery.cluster import _account, _free_port

PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))

# It ends with its owner, however that ends: only the owner holds the pipe.
_KEPT = """
"$0" "$1" </dev/null & pid=$!
cat >/dev/null
kill -TERM "$pid" 2>/dev/null
wait "$pid"
"""


class PgBouncer:
    """Forwards 127.0.0.1:`port` to the server of `dsn` (a URI), as a pool.

    Args:
        dsn: of a database.
        mode: what a client is given a server connection for.
        size: server connections of a user and database, at most.
        users: who may log in, without a password.
        settings: of PgBouncer, on top of those here.
    """

    def __init__(
        self,
        dsn: str,
        mode: Literal["session", "transaction", "statement"] = "transaction",
        *,
        size: int = 4,
        users: tuple[str, ...] = ("postgres",),
        **settings: object,
    ) -> None:
        parts = urlsplit(dsn)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.port = _free_port()
        self._database = parts.path.lstrip("/")
        self._server = (
            query.get("host") or parts.hostname or "127.0.0.1",
            int(query.get("port") or parts.port or 5432),
        )
        self.dsn = self.dsn_of(parts.username or "postgres")
        self._users = users
        self._settings: dict[str, object] = {
            "pool_mode": mode,
            "default_pool_size": size,
            "server_lifetime": 1,
            "server_idle_timeout": 2,
            "server_login_retry": 0,
            "max_client_conn": 200,
            # As a database's own are; asyncpg and psycopg2 send them.
            "ignore_startup_parameters": "extra_float_digits",
            **settings,
        }
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def dsn_of(self, user: str) -> str:
        """Where another user logs in."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{self._database}"

    def __enter__(self) -> Self:
        if PROGRAM is None:
            pytest.skip("no pgbouncer on the PATH")
        self._folder = folder = Path(tempfile.mkdtemp(prefix="pgb-"))
        host, port = self._server
        (folder / "users.txt").write_text("".join(f'"{user}" ""\n' for user in self._users))
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": folder / "users.txt",
            "admin_users": "postgres",
            **self._settings,
        }
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={host} port={port}\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        account = _account()
        as_account: dict[str, Any] = {}
        if account is not None:  # it refuses to run as root
            as_account = {"user": account[0], "group": account[1], "extra_groups": []}
            for path in (folder, *folder.iterdir()):
                os.chown(path, *account)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _KEPT, PROGRAM, folder / "pgbouncer.ini"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                **as_account,
            )
        try:
            wait_for(self._answers, 10, what="pgbouncer answers")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._folder is not None
        self._process.communicate()  # closes the pipe
        shutil.rmtree(self._folder)

    @property
    def log(self) -> str:
        """What it said until now."""
        assert self._folder is not None
        return (self._folder / "log").read_text()

    def tell(self, command: str) -> list[dict[str, Any]]:
        """A command of the admin console; its rows."""
        with psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{self.port}/pgbouncer", autocommit=True
        ) as conn:
            # The console knows only the simple protocol.
            cursor = psycopg.ClientCursor(conn).execute(command.encode())
            if cursor.description is None:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def recycle(self) -> None:
        """Every server connection is replaced, at the latest when its transaction ends."""
        # One that is cut while it logs in counts as a failure of the server.
        wait_for(lambda: not any(pool["sv_login"] for pool in self.tell("show pools")))
        self.tell(f"reconnect {self._database}")

    def _answers(self) -> bool:
        try:
            self.tell("show version")
        except psycopg.OperationalError:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            return False
        return True
