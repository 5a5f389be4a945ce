"""Exceptions: one base, one class for each failure that a caller can act on.

The database raises the SQLSTATEs of class ``RC``; `from_driver` turns them, from
whatever driver, into these classes. The driver's error stays as ``__cause__``.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

__all__ = [
    "ConnectionFailed",
    "ConsumerUnknown",
    "Draining",
    "EpochEnded",
    "EpochUnknown",
    "FuseOut",
    "InvalidArgument",
    "InvalidName",
    "Lagged",
    "LeaseLapsed",
    "NameTaken",
    "NotAutocommit",
    "PermissionDenied",
    "ReceiptLost",
    "ReceiptStale",
    "RecoveryError",
    "SchemaMismatch",
    "SignatureInvalid",
    "TableBusy",
    "TokenMismatch",
    "WatchExists",
    "WatchInvalid",
    "WatchUnknown",
    "WorkRevoked",
    "from_driver",
]


class RecoveryError(Exception):
    """Something that pg-recovery refuses or can't do."""

    #: The code in the database; None where only Python raises it.
    sqlstate: ClassVar[str | None] = None

    def __init__(
        self, message: str | None = None, *, detail: str | None = None, hint: str | None = None
    ) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.detail = detail
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        """One line: the message, then detail and hint, as the server gave them."""
        parts = [self.message, self.detail, self.hint]
        return "; ".join(" ".join(part.split()).rstrip(".") for part in parts if part)


class EpochEnded(RecoveryError):
    """The epoch has ended: this process was declared dead or replaced and may no longer write."""

    sqlstate = "RC001"


class EpochUnknown(RecoveryError):
    """No server ever booted with this epoch."""

    sqlstate = "RC002"


class TokenMismatch(RecoveryError):
    """The epoch belongs to another boot: the token does not match."""

    sqlstate = "RC003"


class InvalidName(RecoveryError):
    """The name of the server is empty or too long."""

    sqlstate = "RC004"


class NameTaken(RecoveryError):
    """Another process holds, or is just taking, the name of this server."""

    sqlstate = "RC005"


class WatchInvalid(RecoveryError):
    """The table or an expression of the watch can't work."""

    sqlstate = "RC006"


class WatchExists(RecoveryError):
    """The table is watched already, with another specification."""

    sqlstate = "RC007"


class WatchUnknown(RecoveryError):
    """The table is not watched."""

    sqlstate = "RC008"


class SchemaMismatch(RecoveryError):
    """The schema recovery is missing, or older or newer than this package."""

    sqlstate = "RC009"


class InvalidArgument(RecoveryError, ValueError):
    """An argument is out of its range."""

    sqlstate = "RC010"


class Draining(RecoveryError):
    """The server drains: it opens no new work."""

    sqlstate = "RC011"


class FuseOut(RecoveryError):
    """The fuse is not active: it burnt out, was cancelled, or its process died."""

    sqlstate = "RC012"


class WorkRevoked(RecoveryError):
    """The row was taken from this live server by a timeout or an operator: its result is late."""

    sqlstate = "RC013"


class ConsumerUnknown(RecoveryError):
    """There is no consumer of that name."""

    sqlstate = "RC014"


class ReceiptStale(RecoveryError):
    """A newer fetch of this consumer has taken over: this one's acknowledgements don't count."""

    sqlstate = "RC015"


class ReceiptLost(RecoveryError):
    """The fetch was lost in a failover: what it gave and still exists comes with the next one."""

    sqlstate = "RC016"


class PermissionDenied(RecoveryError):
    """The database role lacks a privilege."""

    sqlstate = "42501"


class NotAutocommit(RecoveryError):
    """The call commits as it goes, so it can't run inside a transaction."""

    sqlstate = "2D000"


class ConnectionFailed(RecoveryError):
    """The database can't be reached, or the connection was lost."""

    sqlstate = "08006"


class LeaseLapsed(RecoveryError):
    """No heartbeat was answered for a whole lease: others may have declared this process dead."""


class SignatureInvalid(RecoveryError):
    """The delivery of a webhook is not signed with this secret."""


class TableBusy(RecoveryError):
    """Others held the table: a lock that a step needs was not to be had in time."""


class Lagged(RecoveryError):
    """A subscriber fell behind: its queue was full, and events were left out.

    Attributes:
        missed: how many events were left out.
        resume_after: every one of them has a greater id; to see them, read
            ``recovery.event`` from there (or ``recovery.listen(after=…)``).
    """

    def __init__(self, missed: int, resume_after: int) -> None:
        self.missed = missed
        self.resume_after = resume_after
        super().__init__()

    def __str__(self) -> str:
        return f"{self.missed} events were left out here; they are after id {self.resume_after}"


_BY_SQLSTATE = {
    cls.sqlstate: cls for cls in RecoveryError.__subclasses__() if cls.sqlstate is not None
}
# Shut down, starting up, timed out, no such database, too many clients, on a standby.
_LOST = {"57P01", "57P02", "57P03", "57P05", "25P03", "3D000", "53300", "25006"}
_MISSING = {"3F000", "42883", "42P01"}  # schema, routine, table
_OURS = re.compile(r'\brecovery\.|"recovery"')

#: What a hot standby and a read-only session answer does not say which of them it is.
STANDBY = "it is a hot standby: connect to the primary"
READ_ONLY = (
    "it is a hot standby (connect to the primary), or the session or role begins its transactions"
    " read-only (set default_transaction_read_only = off)"
)

MEMBERSHIP = "ask for membership in recovery_server, or in recovery_listener to read"
_DENIED = re.compile(r'permission denied for (?:\w+ )+"?(\w+)"?')
#: What neither of the two roles may call: it is for a table's owner or for recovery_owner.
_NOT_FOR_MEMBERS = {
    "_lock_holders",
    "alter",
    "alter_steps",
    "attach",
    "attach_steps",
    "close",
    "detach",
    "detach_steps",
    "evict",
    "permit",
    "supervise",
    "unsupervise",
}


def from_driver(error: BaseException, statement: str | None = None) -> RecoveryError | None:
    """The exception that a driver's error stands for, or None if it is none of ours.

    Args:
        error: of psycopg, psycopg2 or asyncpg, or what SQLAlchemy makes of them.
        statement: what was executed. A refusal names its object without the schema:
            with the statement the exception can tell whether it is one of ours, and
            say which role to ask for. SQLAlchemy's errors bring it along.

    Returns:
        An exception with the server's message, detail and hint, and with the
        driver's error as ``__cause__``; for the caller to raise.
    """
    if isinstance(error, RecoveryError):
        return error
    # SQLAlchemy keeps the driver's error in .orig; asyncpg's own is the cause of that.
    driver: BaseException = getattr(error, "orig", None) or error
    code = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    source: Any = getattr(driver, "diag", None)
    if source is None:
        source = (driver is not error and driver.__cause__) or driver
    message = getattr(source, "message_primary", None) or getattr(source, "message", None)
    message = str(message or driver).strip()
    detail = getattr(source, "message_detail", None) or getattr(source, "detail", None)
    hint = getattr(source, "message_hint", None) or getattr(source, "hint", None)
    cls = _BY_SQLSTATE.get(str(code))
    if cls is None and code in _MISSING and _OURS.search(message):
        cls, hint = SchemaMismatch, "run `recovery migrate upgrade`"
    elif cls is None and (_is_lost(driver, code) or _on_standby(code, message)):
        cls = ConnectionFailed
        if code in ("0A000", "25006"):
            hint = STANDBY if "during recovery" in message else READ_ONLY
    elif cls is NotAutocommit:
        hint = "use a connection in autocommit mode, outside of a transaction"
    elif cls is PermissionDenied and hint is None:
        hint = _whom_to_ask(message, statement or getattr(error, "statement", None) or "")
    if cls is None:
        return None
    found = cls(_one_line(message), detail=detail, hint=hint)
    found.__cause__ = error
    return found


def _whom_to_ask(message: str, statement: str) -> str | None:
    """The hint for a refusal, if it is certain that membership in one of our roles helps."""
    denied = _DENIED.fullmatch(message)
    if denied is None or denied[1] in _NOT_FOR_MEMBERS:
        return None
    schema = message == "permission denied for schema recovery"
    named = re.search(rf'\brecovery"?\."?{denied[1]}\b', statement)
    return MEMBERSHIP if schema or named else None


def _on_standby(code: str | None, message: str) -> bool:
    """Whether it is what a hot standby answers to a transaction that says it will write."""
    return code == "0A000" and "during recovery" in message


def _is_lost(driver: BaseException, code: str | None) -> bool:
    if code is not None:
        return code in _LOST or code[:2] in ("08", "28")
    # Without a code no server answered. psycopg, psycopg2 and asyncpg use the same names.
    names = {cls.__name__ for cls in type(driver).__mro__}
    return (
        "OperationalError" in names
        or "ConnectionDoesNotExistError" in names
        or ("InterfaceError" in names and "closed" in str(driver))
        or isinstance(driver, OSError)
    )


def _one_line(message: str) -> str:
    """The first complaint: libpq tells one for each address that it tried."""
    return message.strip().partition("\n")[0].strip() or "the connection was lost"
