"""Closes the work that a dead server process left open in PostgreSQL, and tells its clients.

with recovery.serve(engine, name="api-1") as server:
    for event in server.bus.subscribe(kind="closed"):
        ...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from recovery._version import VERSION as __version__

if TYPE_CHECKING:
    from recovery._boot import aboot, boot
    from recovery._connect import Target
    from recovery._types import Event, Report
    from recovery.bus import Bus, Subscription
    from recovery.errors import (
        ConnectionFailed,
        Draining,
        EpochEnded,
        EpochUnknown,
        FuseOut,
        InvalidArgument,
        InvalidName,
        Lagged,
        LeaseLapsed,
        NameTaken,
        NotAutocommit,
        PermissionDenied,
        RecoveryError,
        SchemaMismatch,
        TokenMismatch,
        WatchExists,
        WatchInvalid,
        WatchUnknown,
        WorkRevoked,
    )
    from recovery.fuse import Fuse
    from recovery.listener import Listener, listen
    from recovery.server import Server
    from recovery.service import Service, lifespan, serve
    from recovery.settings import aconfigure, asetting, configure, setting
    from recovery.supervision import Cancel
    from recovery.tracked import Tracked
    from recovery.watches import (
        aattach,
        adetach,
        apermit,
        asupervise,
        attach,
        detach,
        permit,
        supervise,
    )

_HOMES = {
    "_boot": "aboot boot",
    "_connect": "Target",
    "_types": "Event Report",
    "bus": "Bus Subscription",
    "errors": "ConnectionFailed Draining EpochEnded EpochUnknown FuseOut InvalidArgument"
    " InvalidName Lagged LeaseLapsed NameTaken NotAutocommit PermissionDenied RecoveryError"
    " SchemaMismatch TokenMismatch WatchExists WatchInvalid WatchUnknown WorkRevoked",
    "fuse": "Fuse",
    "listener": "Listener listen",
    "server": "Server",
    "service": "Service lifespan serve",
    "settings": "aconfigure asetting configure setting",
    "supervision": "Cancel",
    "tracked": "Tracked",
    "watches": "aattach adetach apermit asupervise attach detach permit supervise",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Bus",
    "Cancel",
    "ConnectionFailed",
    "Draining",
    "EpochEnded",
    "EpochUnknown",
    "Event",
    "Fuse",
    "FuseOut",
    "InvalidArgument",
    "InvalidName",
    "Lagged",
    "LeaseLapsed",
    "Listener",
    "NameTaken",
    "NotAutocommit",
    "PermissionDenied",
    "RecoveryError",
    "Report",
    "SchemaMismatch",
    "Server",
    "Service",
    "Subscription",
    "Target",
    "TokenMismatch",
    "Tracked",
    "WatchExists",
    "WatchInvalid",
    "WatchUnknown",
    "WorkRevoked",
    "__version__",
    "aattach",
    "aboot",
    "aconfigure",
    "adetach",
    "apermit",
    "asetting",
    "asupervise",
    "attach",
    "boot",
    "configure",
    "detach",
    "lifespan",
    "listen",
    "permit",
    "serve",
    "setting",
    "supervise",
]


def __getattr__(name: str) -> Any:
    """Imports on first use: the migrations and the command's help need no driver."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
