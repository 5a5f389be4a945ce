"""The command ``recovery``: its entry, and how failures look.

A failure is one line on standard error and an exit code:

==== =============================================================
   1 it failed
   2 usage: an unknown command or option, a value that can't be
   3 the database can't be reached
   4 schema recovery is missing, or of another version
   5 opencode's store is in use
 130 interrupted (Ctrl-C)
==== =============================================================

No line shows a password or a traceback.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from recovery.cli import FAILED, INTERRUPTED, USAGE

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command and exits."""
    sys.exit(_run(list(sys.argv[1:] if args is None else args)))


def _run(args: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8
    try:
        return _command(args)
    except BrokenPipeError:
        # The reader has gone (`recovery events -f | head`). Python would say so once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def _command(args: list[str]) -> int:
    try:
        from recovery.cli import app, target
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "click", "rich"}:
            return _fail(f"{error}; reinstall pg-recovery", FAILED)
        return _fail('the command needs more packages: pip install "pg-recovery[cli]"', USAGE)
    try:
        code = app.run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except Exception as error:
        message, code = target.explain(error)
        return _fail(message, code)


def _fail(message: str, code: int) -> int:
    print("recovery: " + " ".join(message.split()), file=sys.stderr)
    return code
