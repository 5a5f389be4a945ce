"""The gunicorn.conf.py of docs/how-to/processes.md: each worker serves, after the fork."""

from __future__ import annotations

import contextlib
from typing import Any

import journal

import recovery

_ends = contextlib.ExitStack()


def post_fork(server: Any, worker: Any) -> None:
    from app import OPTIONS, engine

    engine.dispose(close=False)
    journal.begin(_ends.enter_context(recovery.serve(engine, **OPTIONS)))


def worker_exit(server: Any, worker: Any) -> None:
    journal.say("leaving")
    _ends.close()
    journal.say("left")
