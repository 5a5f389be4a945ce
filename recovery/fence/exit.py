"""The end of a process that must not write any more."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from typing import NoReturn

from recovery.errors import InvalidArgument

__all__ = ["FENCED", "exit_code", "leave"]

#: EX_SOFTWARE of sysexits.h.
FENCED = 70

#: Seconds for the logs: who reads them may hang as well.
_PATIENCE = 2.0


def exit_code(wanted: bool | int) -> int | None:
    """What ``exit_on_fenced`` asks for; None if the process stays.

    Raises:
        InvalidArgument: it is no exit code from 1 to 255 (RC010).
    """
    if isinstance(wanted, bool):
        return FENCED if wanted else None
    if not 1 <= wanted <= 255:
        raise InvalidArgument(f"exit_on_fenced must be True, False or 1 to 255, not {wanted}")
    return wanted


def leave(code: int) -> NoReturn:
    """Ends the process at once, from whatever thread; only logs and output are flushed."""
    thread = threading.Thread(target=_flush, name="recovery-exit", daemon=True)
    with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
        thread.start()
        thread.join(_PATIENCE)
    os._exit(code)


def _flush() -> None:
    _flush_streams()
    logging.shutdown()
    _flush_streams()  # where a handler may have written


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # None, gone, closed
            stream.flush()
