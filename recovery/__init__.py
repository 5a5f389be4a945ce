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
    from recovery.closing import aclose, aevict, apreview, close, evict, preview
    from recovery.database.connect import Target
    from recovery.declared.closing import c
    from recovery.declared.finding import Declared, watches
    from recovery.declared.syncing import Change, sync
    from recovery.declared.watch import Watch
    from recovery.errors import (
        ConnectionFailed,
        ConsumerUnknown,
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
        ReceiptLost,
        ReceiptStale,
        RecoveryError,
        SchemaMismatch,
        SignatureInvalid,
        TableBusy,
        TokenMismatch,
        WatchExists,
        WatchInvalid,
        WatchUnknown,
        WorkRevoked,
    )
    from recovery.events.bus import Bus, Subscription
    from recovery.events.consumer import Consumer, consume
    from recovery.events.listener import Listener, listen
    from recovery.server.boot import aboot, boot
    from recovery.server.lifespan import lifespan
    from recovery.server.server import Server
    from recovery.server.service import Service, serve
    from recovery.settings import aconfigure, asetting, configure, setting
    from recovery.types import Cancel, ClosedRow, Event, Eviction, PreviewRow, Report
    from recovery.watch import (
        aalter,
        aattach,
        adetach,
        alter,
        apermit,
        asupervise,
        attach,
        aunsupervise,
        detach,
        permit,
        supervise,
        unsupervise,
    )
    from recovery.work.fuse import Fuse
    from recovery.work.process import TrackedProcess

_HOMES = {
    "closing": "aclose aevict apreview close evict preview",
    "database.connect": "Target",
    "declared.closing": "c",
    "declared.finding": "Declared watches",
    "declared.syncing": "Change sync",
    "declared.watch": "Watch",
    "errors": "ConnectionFailed ConsumerUnknown Draining EpochEnded EpochUnknown FuseOut"
    " InvalidArgument InvalidName Lagged LeaseLapsed NameTaken NotAutocommit PermissionDenied"
    " ReceiptLost ReceiptStale RecoveryError SchemaMismatch SignatureInvalid TableBusy"
    " TokenMismatch WatchExists WatchInvalid WatchUnknown WorkRevoked",
    "events.bus": "Bus Subscription",
    "events.consumer": "Consumer consume",
    "events.listener": "Listener listen",
    "server.lifespan": "lifespan",
    "server.boot": "aboot boot",
    "server.server": "Server",
    "server.service": "Service serve",
    "settings": "aconfigure asetting configure setting",
    "types": "Cancel ClosedRow Event Eviction PreviewRow Report",
    "watch": "aalter aattach adetach alter apermit asupervise attach aunsupervise detach permit"
    " supervise unsupervise",
    "work.fuse": "Fuse",
    "work.process": "TrackedProcess",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Bus",
    "Cancel",
    "Change",
    "ClosedRow",
    "ConnectionFailed",
    "Consumer",
    "ConsumerUnknown",
    "Declared",
    "Draining",
    "EpochEnded",
    "EpochUnknown",
    "Event",
    "Eviction",
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
    "PreviewRow",
    "ReceiptLost",
    "ReceiptStale",
    "RecoveryError",
    "Report",
    "SchemaMismatch",
    "Server",
    "Service",
    "SignatureInvalid",
    "Subscription",
    "TableBusy",
    "Target",
    "TokenMismatch",
    "TrackedProcess",
    "Watch",
    "WatchExists",
    "WatchInvalid",
    "WatchUnknown",
    "WorkRevoked",
    "__version__",
    "aalter",
    "aattach",
    "aboot",
    "aclose",
    "aconfigure",
    "adetach",
    "aevict",
    "alter",
    "apermit",
    "apreview",
    "asetting",
    "asupervise",
    "attach",
    "aunsupervise",
    "boot",
    "c",
    "close",
    "configure",
    "consume",
    "detach",
    "evict",
    "lifespan",
    "listen",
    "permit",
    "preview",
    "serve",
    "setting",
    "supervise",
    "sync",
    "unsupervise",
    "watches",
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
