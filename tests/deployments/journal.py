"""What a worker says it did, in a file of its own that outlives kill -9: a JSON object a line.

Only with APP_JOURNAL (a folder). Nothing of it comes from the database but the answers to the
worker's own statements.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import recovery

FOLDER = os.environ.get("APP_JOURNAL")
PULSE = 0.1
#: A process whose pulse comes this much late stood still: stopped, or starved of the machine.
STILL = 0.5


def say(what: str, **more: Any) -> None:
    """Appends a line, in one write."""
    if FOLDER is None:
        return
    text = json.dumps({"at": time.time(), "pid": os.getpid(), "what": what, **more}) + "\n"
    with (Path(FOLDER) / f"{os.getpid()}.jsonl").open("ab", buffering=0) as file:
        file.write(text.encode())


def begin(server: recovery.Server) -> None:
    """The process serves: which epoch it is, and from now on when it stood still."""
    if FOLDER is None:
        return
    say("booted", epoch=server.epoch, ended=server.report.ended)
    server.on_fenced(lambda error: say("fenced", why=type(error).__name__))
    threading.Thread(target=_pulse, daemon=True).start()


def _pulse() -> None:
    last = time.time()
    while True:
        time.sleep(PULSE)
        now = time.time()
        if now - last > STILL:
            say("stood still", since=last)
        last = now
