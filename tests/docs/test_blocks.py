"""Every block of code in the documentation that can be run is run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from docs.pages import DATA, ROOT, RUN, SHOWN, Reader, blocks, pages, replace

WITH_CODE = [page for page in pages() if any(b.language in RUN for b in blocks(page))]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def own_roles(cluster: Any) -> Iterator[Callable[[str], None]]:
    """``own_roles(text)``: the roles that a page makes go with it, also those of an earlier run."""
    made: list[str] = []

    def drop() -> None:
        with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
            for role in made:
                if conn.execute("select from pg_roles where rolname = %s", (role,)).rowcount:
                    conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))

    def note(text: str) -> None:
        for role in re.findall(r"create role (\w+)", text):
            made.extend((f"recovery_runner_{role}", role))
        drop()

    yield note
    drop()


@pytest.mark.majors("newest")
@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_the_blocks_of(
    page: Path,
    cluster: Any,
    own_roles: Callable[[str], None],
    new_database: Callable[..., str],
    template: str,
    tmp_path: Path,
) -> None:
    text = page.read_text(encoding="utf-8")
    own_roles(text)
    empty = "<!-- database: empty -->" in text
    dsn = new_database() if empty else new_database(template)
    binaries = getattr(cluster, "binaries", None)
    path = [] if binaries is None else [binaries.bin_dir]
    overwrite = os.environ.get("RECOVERY_GOLDEN") == "overwrite"
    for folder in ("examples",):
        (tmp_path / folder).symlink_to(ROOT / folder)
    changed = []
    try:
        with Reader(dsn, tmp_path, path) as reader:
            for block in blocks(page):
                real = reader.run(block)
                if real is not None:
                    assert overwrite, f"{block} prints something else:\n{real}"
                    changed.append((block, real))
    finally:
        # Their places count from the top: the last one first.
        for block, real in reversed(changed):
            replace(block, real)
        drop_owned(dsn, text)


def drop_owned(dsn: str, text: str) -> None:
    """What keeps the page's roles from being dropped."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for role in re.findall(r"create role (\w+)", text):
            for each in (f"recovery_runner_{role}", role):
                if conn.execute("select from pg_roles where rolname = %s", (each,)).rowcount:
                    conn.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(each)))


def test_every_block_is_of_a_known_language_or_says_why_it_is_not_run() -> None:
    for page in pages():
        for block in blocks(page):
            assert block.language in (*RUN, *SHOWN, *DATA), block
            assert block.language in RUN or block.reason is None, f"{block} is never run"


def test_what_is_shown_of_the_tree_is_what_stands_there() -> None:
    shown = [block for page in pages() for block in blocks(page) if block.language in SHOWN]
    for block in shown:
        assert block.title is not None, f"{block} names no file"
        assert block.code == (ROOT / block.title).read_text(encoding="utf-8"), block
    # And nothing stands in examples/consumers that nobody sees.
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "examples/consumers").iterdir()}
    assert files == {block.title for block in shown}
