"""Rules of CONTRIBUTING.md that no tool of its own checks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "recovery").rglob("*.py"))


def test_it_logs_by_module_and_never_configures_logging() -> None:
    """The command is a program, and may."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert all(re.fullmatch(r"(\w+\.)?__name__", name) for name in
                   re.findall(r"getLogger\((.*?)\)", text)), path  # fmt: skip
        if not re.search(r"/_?cli/", path.as_posix()):
            assert not re.search(r"basicConfig|dictConfig|addHandler|setLevel", text), path


def test_every_check_that_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in re.findall(
        r"^(?:RECOVERY_\S+ )?make ([a-z -]+?)(?: +#| [A-Z]|$)", text, re.MULTILINE
    ):
        assert set(line.split()) <= targets, line
    for name in re.findall(r"`(test_\w+)`", text):
        found = [p for p in (ROOT / "tests").rglob("*.py") if f"def {name}(" in p.read_text()]
        assert found, name
