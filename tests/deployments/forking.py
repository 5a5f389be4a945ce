"""A program that serves, and only then forks: its child writes.

    python forking.py DSN {guarded|bare}

Prints "CHILD ROW" once the child has opened its row, and hangs until its input ends.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

import sqlalchemy as sa

import recovery

OPEN = sa.text("insert into app.job default values returning id")


def main(dsn: str, mode: str) -> None:
    logging.basicConfig(format="log: %(message)s")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the child
    engine = sa.create_engine(sa.make_url(dsn).set(drivername="postgresql+psycopg"))
    with recovery.serve(engine, "api-1", sweep=0.2) as server:
        with engine.begin() as conn:
            conn.execute(OPEN)  # the parent's own
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            engine.dispose(close=False)
            with engine.begin() as conn:
                opened = conn.scalar(OPEN)
            os.write(writer, str(opened).encode())  # committed: it may be killed now
            signal.pause()
        row = int(os.read(reader, 32))
        fuse = server.fuse("app.job", row, child)
        if mode == "guarded":
            fuse.light()
        print(child, row, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
