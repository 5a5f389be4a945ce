"""The command line; `recovery.cli.main` is its entry. Here: its exit codes."""

from __future__ import annotations

FAILED, USAGE, UNREACHABLE, SCHEMA, IN_USE, INTERRUPTED = 1, 2, 3, 4, 5, 130
