"""Watching a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

from recovery.calls.core import Call, nothing, one

__all__ = ["attach", "detach", "permit"]


def attach(
    table: str,
    open: str,
    close: Mapping[str, str],
    *,
    name: str | None = None,
    group: str | None = None,
    family: str | None = None,
    parent: str | None = None,
    position: int = 100,
    order: str | None = None,
    only: str | None = None,
    image: str | None = None,
    topic: str | None = None,
    failed_topics: Sequence[str] | None = None,
    idle_topics: Sequence[str] | None = None,
    started: str | None = None,
    unowned: str | timedelta | None = None,
    events: Literal["all", "closed"] = "all",
    launch_grace: str | timedelta | None = None,
    requeue: Mapping[str, str] | None = None,
    attempts: str | None = None,
    max_attempts: int = 3,
    owner: str | None = None,
    alive: str | None = None,
    alive_lease: str | timedelta | None = None,
    free_reasons: Sequence[str] | None = None,
    not_before: str | None = None,
    backoff: str | timedelta | None = None,
    max_backoff: str | timedelta | None = None,
    search_path: str | None = None,
) -> Call[str]:
    """Watches a table; returns the watch's name. RC006, RC007, RC010.

    The arguments are those of `recovery.attach`, the function.
    """
    options: dict[str, tuple[str, object]] = {
        "name": ("text", name),
        "group": ("text", group),
        "family": ("text", family),
        "parent": ("text", parent),
        "position": ("integer", position),
        "order": ("text", order),
        "only": ("text", only),
        "image": ("text", image),
        "topic": ("text", topic),
        "failed_topics": ("text[]", None if failed_topics is None else list(failed_topics)),
        "idle_topics": ("text[]", None if idle_topics is None else list(idle_topics)),
        "started": ("text", started),
        "unowned": ("interval", unowned),
        "events": ("text", events),
        "launch_grace": ("interval", launch_grace),
        "requeue": ("jsonb", None if requeue is None else json.dumps(dict(requeue))),
        "attempts": ("text", attempts),
        "max_attempts": ("integer", max_attempts),
        "owner": ("text", owner),
        "alive": ("text", alive),
        "alive_lease": ("interval", alive_lease),
        "free_reasons": ("text[]", None if free_reasons is None else list(free_reasons)),
        "not_before": ("text", not_before),
        "backoff": ("interval", backoff),
        "max_backoff": ("interval", max_backoff),
        "search_path": ("text", search_path),
    }
    # What is not given is left to SQL, which knows the session's search_path.
    given = {option: each for option, each in options.items() if each[1] is not None}
    said = "".join(f", p_{option} => %({option})s::{type_}" for option, (type_, _) in given.items())
    return Call(
        "select recovery.attach(p_table => %(table)s::text::regclass, p_open => %(open)s::text,"
        f" p_close => %(close)s::text::jsonb{said})",
        {
            "table": table,
            "open": open,
            "close": json.dumps(dict(close)),
            **{option: value for option, (_, value) in given.items()},
        },
        one,
    )


def permit(owner: str) -> Call[None]:
    """Lets the owner of tables attach them; for a DBA. 42704 no such role, 42501."""
    return Call("select recovery.permit(%(owner)s::text::regrole)", {"owner": owner}, nothing)


def detach(table: str) -> Call[None]:
    """No longer watches a table; restores it. RC008."""
    return Call("select recovery.detach(%(table)s::text::regclass)", {"table": table}, nothing)
