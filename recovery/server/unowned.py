"""Says when a sweep finds open rows that nobody owns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from recovery.types import Report

if TYPE_CHECKING:
    from recovery.server.server import Server

__all__ = ["warn_unowned"]

_log = logging.getLogger(__name__)
_told: WeakKeyDictionary[Server, set[str]] = WeakKeyDictionary()


def warn_unowned(server: Server, report: Report) -> None:
    """One warning for each watch in the life of a server."""
    told = _told.setdefault(server, set())
    for watch, count in report.unowned.items():
        if watch not in told:
            told.add(watch)
            _log.warning(
                "%s open rows of %s belong to no server, and nobody will notice when the process"
                " that wrote them dies: bind its engine or pool (recovery.serve, server.bind), or"
                " write server_epoch. If that is meant:"
                " recovery config set unowned_expected true --watch %s",
                count if count < 1000 else "1000 or more",
                watch,
                watch,
            )
