"""The text of server-sent events."""

from __future__ import annotations

__all__ = ["comment", "frame", "retry"]


def frame(data: str, *, id_: str | None = None, event: str | None = None) -> bytes:
    """One event; `data` is one line, as JSON is."""
    lines = [] if event is None else [f"event: {event}"]
    lines += [] if id_ is None else [f"id: {id_}"]
    return "\n".join([*lines, f"data: {data}", "", ""]).encode()


def comment(text: str) -> bytes:
    """A line that clients pass over: it keeps the connection open, and a person may read it."""
    return f": {text}\n\n".encode()


def retry(milliseconds: int) -> bytes:
    """How long a browser waits before it connects again."""
    return f"retry: {milliseconds}\n\n".encode()
