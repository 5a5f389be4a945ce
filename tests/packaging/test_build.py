"""What the built distributions carry, found out by building and installing them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import alembic
import pytest
import uv

ROOT = Path(__file__).resolve().parents[2]

#: Run with an installed distribution, in an empty folder.
PROBE = """
import pathlib, sys
import alembic, alembic.config, alembic.script
import recovery
from recovery.schema import paths

package = pathlib.Path(recovery.__file__).parent
mode, expected = sys.argv[1], sys.argv[2]
assert alembic.__file__, "top-level alembic/ shadows Alembic"
for folder in (paths.sql_dir(), paths.alembic_dir()):
    assert (folder.parent == package) == (mode == "wheel"), folder
print(recovery.__version__)
if mode == "wheel":
    assert expected not in str(package), package
    location = "recovery:alembic/versions"
else:
    assert str(package) == expected + "/recovery", package
    location = str(paths.alembic_dir() / "versions")

config = alembic.config.Config("alembic.ini")
config.set_main_option("version_locations", "%(here)s/migrations/versions\\n" + location)
config.set_main_option("path_separator", "newline")
script = alembic.script.ScriptDirectory.from_config(config)
labels = {label for revision in script.walk_revisions() for label in revision.branch_labels}
assert {"recovery", "agent_store"} <= labels, labels
"""

ALEMBIC_INI = "[alembic]\nscript_location = %(here)s/migrations\n"


def tree() -> dict[str, bytes]:
    """What every distribution must carry: path in the source tree -> content."""
    paths = [
        path
        for top in ("recovery", "sql", "alembic")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def in_wheel(path: str) -> str:
    return path if path.startswith("recovery/") else f"recovery/{path}"


def run(*command: object, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CACHE": "1", **env},
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree: others may be at work in the original."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(".git", ".venv", ".tools", "dist", "__pycache__", ".*_cache"),
    )
    return copy


@pytest.fixture(scope="module")
def dist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`sdist`, `wheel` (from the tree) and `wheel from sdist`."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check"]
    run(*build, "--sdist", "--outdir", out / "sdist", source, cwd=out)
    run(*build, "--wheel", "--outdir", out / "wheel", source, cwd=out)
    [sdist] = (out / "sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        # As the documentation says: early releases of 3.11 have no argument `filter`.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(out / "unpacked")
    [unpacked] = (out / "unpacked").iterdir()
    run(*build, "--wheel", "--outdir", out / "again", unpacked, cwd=out)
    [wheel] = (out / "wheel").glob("*.whl")
    [again] = (out / "again").glob("*.whl")
    return {"sdist": sdist, "wheel": wheel, "wheel from sdist": again}


def environment(folder: Path, *install: object) -> Path:
    """A virtual environment that borrows the dependencies of ours, but not our pg-recovery."""
    run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    pip = [uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--python", python]
    run(*pip, "--no-deps", "--no-build-isolation", *install, cwd=folder.parent, PYTHONPATH=deps())
    return python


def deps() -> str:
    # On PYTHONPATH .pth files are not read, so the editable install of this
    # environment is not seen: only what lies in site-packages itself.
    return str(Path(alembic.__file__).parent.parent)


def probe(python: Path, mode: str, folder: Path, expected: Path) -> str:
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text(ALEMBIC_INI)
    # -P: the working folder is not on the path, as for an installed program.
    return run(python, "-P", "-c", PROBE, mode, expected, cwd=folder, PYTHONPATH=deps())


def test_alembic_is_not_shadowed() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()
    assert not Path(alembic.__file__).is_relative_to(ROOT / "alembic")


def test_the_sdist_carries_the_tree(dist: dict[str, Path]) -> None:
    with tarfile.open(dist["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(tree()) <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "tests/conftest.py"} <= names


@pytest.mark.parametrize("kind", ["wheel", "wheel from sdist"])
def test_the_wheel_carries_sql_and_migrations(
    dist: dict[str, Path], source: Path, kind: str
) -> None:
    expected = {
        in_wheel(path): (source / path).read_bytes() for path in tree() if (source / path).exists()
    }
    with zipfile.ZipFile(dist[kind]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert names == set(expected)
        for name, content in expected.items():
            assert archive.read(name) == content, name
    assert "recovery/alembic/__init__.py" not in names
    assert "recovery/py.typed" in names
    assert any(name.startswith("recovery/sql/closing/") for name in names)
    assert any(name.startswith("recovery/alembic/versions/") for name in names)


@pytest.mark.parametrize("kind", ["wheel", "wheel from sdist"])
def test_the_wheel_works_when_installed(dist: dict[str, Path], tmp_path: Path, kind: str) -> None:
    python = environment(tmp_path / "env", dist[kind])
    (tmp_path / "empty").mkdir()
    version = probe(python, "wheel", tmp_path / "empty", ROOT)
    assert f"-{version}-" in dist[kind].name
    out = run(python.with_name("recovery"), "--help", cwd=tmp_path / "empty", PYTHONPATH=deps())
    assert "recovery" in out


def test_the_editable_install_works(source: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "env", "--editable", source)
    (tmp_path / "empty").mkdir()
    probe(python, "editable", tmp_path / "empty", source)
