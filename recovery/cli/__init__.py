"""The command line; `recovery.cli.main` is its entry. Here: its exit codes."""

from __future__ import annotations

FAILED, USAGE, UNREACHABLE, SCHEMA, INTERRUPTED = 1, 2, 3, 4, 130
