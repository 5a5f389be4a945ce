"""A host that is checked by mypy, strictly, has no trouble with its declarations."""

from __future__ import annotations

import re
from pathlib import Path

from python.test_signatures import check

MODELS = Path(__file__).with_name("models.py")


def test_models_as_mypy_sees_them() -> None:
    wanted = {
        number: sorted(match[1].split(", "))
        for number, line in enumerate(MODELS.read_text().splitlines(), 1)
        if (match := re.search(r"# wrong: \[([a-z, -]+)\]", line))
    }
    assert len(wanted) > 10
    found = check(MODELS)
    codes = {line: re.findall(r"\[([a-z-]+)\]$", "\n".join(e), re.M) for line, e in found.items()}
    assert {line: sorted(set(code)) for line, code in codes.items()} == wanted, found
