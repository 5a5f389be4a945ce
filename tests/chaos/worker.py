"""A small server program: `recovery.serve` and a bound engine, told by its standard input what to do.

    python worker.py DSN NAME '{"lease": 3, …}'

Each line of input is a JSON object with the key ``do``; each line of output is JSON: the answer to
it, or something that happened (a key ``event``). At the end of its input it shuts down.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
from typing import Any

import sqlalchemy as sa

import recovery

_writing = threading.Lock()


def say(**what: Any) -> None:
    with _writing:
        print(json.dumps(what), flush=True)


def error_of(error: BaseException) -> str:
    """The SQLSTATE, or the name of what has none."""
    known = getattr(error, "orig", None) or error
    return str(getattr(known, "sqlstate", None) or type(error).__name__)


class Worker:
    def __init__(self, engine: sa.Engine, server: recovery.Server) -> None:
        self.engine, self.server = engine, server
        #: Its connections say the epoch, and ask nobody: what a zombie in another language does.
        options = f"-c recovery.server_epoch={server.epoch}"
        self.blind = sa.create_engine(
            engine.url, connect_args={"options": options}, poolclass=sa.NullPool
        )
        self._ends = contextlib.ExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = threading.Event()
        self._loads: list[threading.Thread] = []

    def sql(
        self, text: str, parameters: dict[str, Any] | None = None, blind: bool = False
    ) -> list[Any]:
        """One transaction."""
        with (self.blind if blind else self.engine).begin() as conn:
            result = conn.execute(sa.text(text), parameters or {})
            return [list(row) for row in result] if result.returns_rows else []

    def open(self, count: int = 1, blind: bool = False) -> list[int]:
        text = "insert into app.job select from generate_series(1, :n) returning id"
        return [row[0] for row in self.sql(text, {"n": count}, blind)]

    def finish(self, key: int, blind: bool = False) -> int:
        text = "update app.job set status = 'done' where id = :id returning id"
        return len(self.sql(text, {"id": key}, blind))

    def fenced(self) -> bool:
        return self.server.fenced

    def drain(self) -> bool:
        return bool(self.server.drain(60))

    def fuse(self, key: int, how: str, ttl: float) -> int:
        """Starts a process that does nothing, and guards a row with it."""
        sleep = ["sleep", "300"]
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        if how == "subprocess":
            child = subprocess.Popen(sleep, **quiet)
            self._ends.enter_context(self.server.fuse("app.job", key, child, ttl=ttl))
            return child.pid
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, daemon=True).start()
        lit: asyncio.Future[int] = asyncio.Future(loop=self._loop)

        async def guard() -> None:
            process = await asyncio.create_subprocess_exec(*sleep, **quiet)
            async with self.server.fuse("app.job", key, process, ttl=ttl):
                lit.set_result(process.pid)
                await process.wait()

        async def begin() -> int:
            self._guard = asyncio.ensure_future(guard())
            return await lit

        return asyncio.run_coroutine_threadsafe(begin(), self._loop).result(20)

    def unfuse(self) -> None:
        """Leaves the blocks; those of asyncio end with their processes."""
        self._ends.close()

    def load(self, seed: int, pause: float = 0.02) -> None:
        """Opens rows and finishes most of them, until the end or the fence; tells each commit."""
        thread = threading.Thread(target=self._work, args=(random.Random(seed), pause), daemon=True)
        self._loads.append(thread)
        thread.start()

    def rest(self) -> None:
        """Ends the load, and waits for its last commit."""
        self._over.set()
        for thread in self._loads:
            thread.join()
        self._over.clear()

    def _work(self, dice: random.Random, pause: float) -> None:
        held: list[int] = []
        while not self._over.wait(dice.random() * 2 * pause):
            try:
                if len(held) < 3 or dice.random() < 0.4:
                    opened = self.open(dice.randint(1, 3))
                    held += opened
                    say(event="opened", keys=opened)
                else:
                    key = held.pop(dice.randrange(len(held)))
                    done = self.finish(key)
                    say(event="finished", key=key, done=bool(done))
            except (sa.exc.DBAPIError, recovery.RecoveryError) as error:
                code = error_of(error)
                say(event="refused", code=code)
                if code.startswith("RC"):
                    return


def main() -> None:
    dsn, name, options = sys.argv[1:]
    engine = sa.create_engine(sa.make_url(dsn).set(drivername="postgresql+psycopg"))
    with recovery.serve(engine, name, **{"listen": False, **json.loads(options)}) as server:
        server.on_fenced(lambda error: say(event="fenced", why=type(error).__name__))
        worker = Worker(engine, server)
        say(epoch=server.epoch, pid=os.getpid(), report=server.report.closed)
        for line in sys.stdin:
            told = json.loads(line)
            try:
                say(answer=getattr(worker, told.pop("do"))(**told))
            except Exception as error:
                say(error=error_of(error), text=str(error))
    say(event="left")


if __name__ == "__main__":
    main()
