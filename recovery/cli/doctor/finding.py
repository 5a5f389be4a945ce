"""One thing that is wrong, or worth to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["SEVERITIES", "Finding", "Seen"]

#: From the worst.
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """What `recovery.examine` returns, or was found outside of the database.

    Attributes:
        code: stable name of what is wrong; docs/reference/doctor.md lists them.
        severity: ``error``, ``warning`` or ``note``.
        kind: what the subject is: ``watch``, ``server``, ``database``, …
        subject: what it is about.
        problem: what is wrong with it.
        remedy: what to type, or to do.
        fix: statements that repair it; None: a person decides.
    """

    code: str
    severity: str
    kind: str
    subject: str
    problem: str
    remedy: str
    fix: tuple[str, ...] | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """What says that it is the same as one that was found before."""
        return (self.code, self.kind, self.subject, self.problem)


@dataclass(frozen=True)
class Seen:
    """What a doctor has seen.

    Attributes:
        looked: it could look; else `findings` says why not.
        database: what is known of it: name, server, schema.
        examined: the subjects that were looked at.
        findings: the worst first.
        fixed: what --fix has repaired.
        errors: identity of a finding -> why its fix failed.
    """

    looked: bool
    database: dict[str, Any]
    examined: Sequence[str]
    findings: Sequence[Finding]
    fixed: Sequence[Finding] = ()
    errors: dict[tuple[str, ...], str] | None = None

    def count(self, severity: str) -> int:
        """How many are that severe."""
        return sum(finding.severity == severity for finding in self.findings)

    def fails(self, strict: bool) -> bool:
        """Whether it is found ill: by its errors, or (strict) by its warnings, too."""
        return bool(self.count("error") or (strict and self.count("warning")))
