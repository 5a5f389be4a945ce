"""Watching a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from recovery.calls.core import Call, nothing, one
from recovery.errors import InvalidArgument

__all__ = ["attach", "detach", "permit"]


def attach(table: str, open: str, close: Mapping[str, str], **options: Any) -> Call[str]:
    """Watches a table; returns the watch's name. RC006, RC007, RC010.

    Args:
        table: as SQL writes it, with its schema.
        open: SQL condition over the row ``r``: the row is work in flight.
        close: column -> SQL expression that a closing sets.
        **options: the parameters of ``recovery.attach``, without their ``p_``.
    """
    wrong = sorted(set(options) - _ATTACH_OPTIONS.keys())
    if wrong:
        allowed = ", ".join(_ATTACH_OPTIONS)
        raise InvalidArgument(f"attach has no option {', '.join(wrong)}; there are {allowed}")
    given = "".join(f", p_{name} => %({name})s::{_ATTACH_OPTIONS[name]}" for name in options)
    return Call(
        "select recovery.attach(p_table => %(table)s::text::regclass, p_open => %(open)s::text,"
        f" p_close => %(close)s::text::jsonb{given})",
        {
            "table": table,
            "open": open,
            "close": json.dumps(dict(close)),
            **{name: _as_json(value) for name, value in options.items()},
        },
        one,
    )


_ATTACH_OPTIONS = {
    **dict.fromkeys(("name", "group", "family", "parent", "order", "only", "image"), "text"),
    **dict.fromkeys(("topic", "started", "events", "search_path"), "text"),
    **dict.fromkeys(("failed_topics", "idle_topics"), "text[]"),
    "position": "integer",
    "requeue": "jsonb",
    "attempts": "text",
    "max_attempts": "integer",
    **dict.fromkeys(("unowned", "launch_grace"), "interval"),
}


def _as_json(value: Any) -> Any:
    return json.dumps(dict(value)) if isinstance(value, Mapping) else value


def permit(owner: str) -> Call[None]:
    """Lets the owner of tables attach them; for a DBA. 42704 no such role, 42501."""
    return Call("select recovery.permit(%(owner)s::text::regrole)", {"owner": owner}, nothing)


def detach(table: str) -> Call[None]:
    """No longer watches a table; restores it. RC008."""
    return Call("select recovery.detach(%(table)s::text::regclass)", {"table": table}, nothing)
