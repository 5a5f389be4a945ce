"""A host's project for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrations.project import Project


@pytest.fixture
def project(tmp_path: Path, empty_dsn: str) -> Callable[..., Project]:
    """``project(*further databases, **options of Project)``, over an empty database."""
    numbers = itertools.count(1)

    def make(*more: str, **options: Any) -> Project:
        return Project(tmp_path / f"host{next(numbers)}", empty_dsn, *more, **options)

    return make
