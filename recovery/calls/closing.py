"""Closing what nobody owns any more: by a sweep, or by hand."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from recovery.calls.core import Call, report
from recovery.types import ClosedRow, PreviewRow, Report

__all__ = ["claim_sweep", "close", "preview", "sweep"]


def claim_sweep(epoch: int, token: UUID, every: timedelta) -> Call[tuple[float, bool]]:
    """Whether this server sweeps for all: (0, …), else in how many seconds to ask again.

    The second: whether nobody has looked at the processes of its host lately.
    RC001, RC002, RC003, RC010.
    """
    return Call(
        "select extract(epoch from c.o_wait)::float8, c.o_look"
        " from recovery.claim_sweep(%(epoch)s::bigint, %(token)s::uuid, %(every)s::interval) as c",
        {"epoch": epoch, "token": token, "every": every},
        lambda rows: (rows[0][0], rows[0][1]),
    )


def sweep(
    label: str | None = None, batch: int = 10_000, budget: timedelta | None = None
) -> Call[Report]:
    """Ends servers whose lease has lapsed; closes the orphans of every ended epoch. RC010.

    With a budget it stops after that time, and its report may say `more`.
    """
    return Call(
        "call recovery.sweep(p_label => %(label)s::text, p_batch => %(batch)s::integer,"
        " p_budget => %(budget)s::interval)",
        {"label": label, "batch": batch, "budget": budget},
        report,
    )


def close(
    key: str,
    *,
    reason: str = "operator",
    watch: str | None = None,
    scope: str | None = None,
    dry: bool = False,
) -> Call[list[ClosedRow]]:
    """Closes one open row or group (session), whoever owns it; its rows. RC008, RC010."""
    return Call(
        "select watch, key, group_key, server_epoch from recovery.close(%(key)s::text,"
        " %(reason)s::text, %(watch)s::text, %(scope)s::text, %(dry)s::boolean)",
        {"key": key, "reason": reason, "watch": watch, "scope": scope, "dry": dry},
        lambda rows: [ClosedRow(*row) for row in rows],
    )


def preview(boot: str | None = None) -> Call[list[PreviewRow]]:
    """What a sweep would do now, or a boot of that name; nothing is done."""
    return Call(
        "select action, reason, watch, key, group_key, server_epoch"
        " from recovery.preview(%(boot)s::text)",
        {"boot": boot},
        lambda rows: [PreviewRow(*row) for row in rows],
    )
