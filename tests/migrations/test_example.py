"""examples/alembic_project: an application that has an Alembic, and adds us in one revision."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

import recovery
from migrations.project import ROOT, Project, commands
from schema.catalog import catalog

pytestmark = pytest.mark.majors("newest")

EXAMPLE = ROOT / "examples" / "alembic_project"
NOTHING = "No new upgrade operations detected."


@pytest.fixture
def host(tmp_path: Path, empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("RECOVERY_DSN", empty_dsn)
    return Project(folder, empty_dsn, made=True)


def test_it_works(host: Project) -> None:
    host("upgrade", "0001")
    host.rows("insert into job (status) values ('running')")  # an orphan of old times
    before = catalog(host.dsn)
    host("upgrade", "head")
    assert NOTHING in host("check")
    with psycopg.connect(host.dsn, autocommit=True) as conn:
        first = recovery.boot(host.dsn, "api-1")
        conn.execute("select set_config('recovery.server_epoch', %s, false)", [str(first.epoch)])
        conn.execute("insert into job (status) values ('running')")
        conn.execute("reset recovery.server_epoch")
        recovery.evict(host.dsn, first.epoch)  # it crashes
    rows = host.rows("select status, error is not null from job order by id")
    assert rows == [("running", False), ("failed", True)]
    host("downgrade", "-1")
    assert catalog(host.dsn) == before


def test_its_revision_is_what_autogenerate_writes(host: Project) -> None:
    path = host.folder / "migrations" / "versions" / "0002_recovery.py"
    kept = path.read_text()
    path.unlink()
    host("upgrade", "head")
    text = host.revise("0002")
    for function in ("upgrade", "downgrade"):
        assert commands(text, function) == commands(kept, function)


def test_it_takes_ten_lines() -> None:
    """What the application adds: in its models, in env.py; the revision is generated."""
    models = (EXAMPLE / "models.py").read_text()
    declaration = models[models.index("    __recovery__") :].splitlines()
    lines = [line for line in models.splitlines() if line == "import recovery"]
    lines += [
        line
        for line in (EXAMPLE / "migrations" / "env.py").read_text().splitlines()
        if "recovery.migrations" in line
    ]
    assert len([*declaration, *lines]) == 6
