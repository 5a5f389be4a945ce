"""The pages say what is: their links lead somewhere, their lists are whole, the files exist."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

import recovery
from docs.pages import ROOT
from recovery.settings import VARIABLES
from tools import docs_pages, docs_sql

DOCS = ROOT / "docs"
#: What people read, in the tree and on the site.
TEXTS = [*(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"))]
TEXTS += sorted(DOCS.rglob("*.md"))

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
#: A file of the tree, as code or as the target of a link.
FILE = re.compile(r"`((?:alembic|bench|docs|examples|recovery|sql|tests|tools)/[\w./-]+\.\w+)`")


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        own = re.search(r"\{ *#([\w.-]+) *\}", heading)
        text = re.sub(r"[`*]|\{.*\}", "", heading).strip().lower()
        found.add(own[1] if own else re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", text)))
    return found


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_files(page: Path) -> None:
    for link in LINK.findall(re.sub(r"`[^`\n]+`(?!\])", "", prose(page))):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor and "<!-- generated:" not in target.read_text(encoding="utf-8"):
            assert anchor in anchors(target), link
    for file in FILE.findall(prose(page)):
        assert (ROOT / file).exists(), file


def test_the_site_shows_every_page() -> None:
    listed = re.findall(
        r"^ +- (?:\w+: )?([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


def test_what_is_generated_can_be() -> None:
    """Also without mkdocs: the marks of all pages."""
    found = [mark for page in TEXTS for mark in docs_pages.MARK.findall(page.read_text())]
    assert {mark.partition(" ")[0] for mark in found} == set(docs_pages.GENERATORS)
    for mark in found:
        assert docs_pages.generate(mark).strip(), mark


def test_each_promise_is_told_and_held() -> None:
    page = (DOCS / "explanation" / "promises.md").read_text()
    told = re.findall(
        r"^## P(\d+)\. .+\n(?:(?!## ).*\n)+?<!-- generated: tests P(\d+) -->$", page, re.M
    )
    assert told == [(str(n), str(n)) for n in range(1, 16)]
    assert set(docs_pages.promised()) == set(range(1, 16))


def test_public_sql_is_whole_and_commented() -> None:
    public = docs_sql.objects()
    assert {"recovery.boot", "recovery.event", "agent.runnable"} <= {each.name for each in public}
    assert not [each.name for each in public if not each.comment]


def parameters(name: str) -> set[str]:
    [found] = [each for each in docs_sql.objects() if each.name == name]
    return set(re.findall(r"\bp_(\w+)", found.signature)) - {"table"}


def test_every_option_of_a_watch_has_its_words() -> None:
    page = (DOCS / "reference" / "watch.md").read_text()
    told = set(re.findall(r"^### `(\w+)`", page, re.MULTILINE))
    assert told == parameters("recovery.attach") | parameters("recovery.supervise")


def test_every_setting_has_its_words() -> None:
    page = (DOCS / "reference" / "settings.md").read_text()
    assert set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE)) == set(VARIABLES.values())
    assert set(re.findall(r"`(RECOVERY_\w+)`", page)) >= set(VARIABLES)


def codes_of_the_doctor() -> dict[str, set[str]]:
    """Code -> severities that stand beside it in the source; the code alone where it depends."""
    found: dict[str, set[str]] = {}
    for path in [
        *(ROOT / "sql" / "status").glob("_examine_*.sql"),
        ROOT / "sql" / "status" / "examine.sql",
        *(ROOT / "recovery" / "cli" / "doctor").glob("*.py"),
    ]:
        text = path.read_text()
        for code in re.findall(r"""['"]([a-z]+(?:-[a-z]+)+)['"]""", text):
            found.setdefault(code, set())
        for code, severity in re.findall(
            r"""['"]([a-z]+(?:-[a-z]+)+)['"],\s*['"](error|warning|note)['"]""", text
        ):
            found[code].add(severity)
    return found


def test_every_code_of_the_doctor_has_its_words() -> None:
    page = (DOCS / "reference" / "doctor.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \| ([a-z, ]+) \| .{10,} \|$", page, re.M)
    told = {code: set(severities.split(", ")) for code, severities, _ in rows}
    found = codes_of_the_doctor()
    assert len(rows) == len(told) > 50
    assert set(told) == set(found)
    assert not [code for code, severities in found.items() if severities - told[code]]
    assert {fix for _, _, fix in rows} == {"yes", "no", "yes, no"}


def test_every_reason_has_its_words() -> None:
    page = (DOCS / "reference" / "events.md").read_text()
    source = (ROOT / "sql" / "closing" / "_reason_message.sql").read_text()
    for reason, words in re.findall(r"when '(\w+)' then '(.+?)'", source):
        assert f"| `{reason}` | {words} |" in page
    event = (ROOT / "sql" / "event" / "event.sql").read_text()
    kinds = re.search(r"column recovery.event.kind is\s+'(.+?)'", re.sub(r"'\n +'", "", event))
    assert kinds is not None
    for kind in re.findall(r"\b(?!asks?\b)[a-z]+ed\b|failed|idle|cancel", kinds[1]):
        assert f"| `{kind}` |" in page, kind


def test_the_table_of_errors_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    told = dict(re.findall(r"^\| (RC\d{3}) \| `?(\w+)`? \|", text, re.MULTILINE))
    classes = recovery.RecoveryError.__subclasses__()
    assert told == {
        c.sqlstate: c.__name__ for c in classes if c.sqlstate and c.sqlstate.startswith("RC")
    }


def test_every_word_of_the_glossary_stands_once_and_in_order() -> None:
    page = (DOCS / "explanation" / "glossary.md").read_text()
    words = re.findall(r"^\*\*(.+?)\*\*$", page, re.MULTILINE)
    assert words == sorted(set(words), key=str.lower)
    assert len(words) > 30


def test_one_row_meets_each_file_once() -> None:
    page = (DOCS / "explanation" / "house.md").read_text()
    files = re.findall(r"`((?:sql|recovery)/[\w./-]+\.\w+)`", page)
    assert len(files) > 30
    assert len(files) == len(set(files))
    rooms = [file.rpartition("/")[0] for file in files]
    assert len([room for room, _ in itertools.groupby(rooms)]) == len(set(rooms))


@pytest.mark.parametrize(("name", "most"), [("README", 150), ("ARCHITECTURE", 120)])
def test_what_is_to_be_short_is_short(name: str, most: int) -> None:
    assert len((ROOT / f"{name}.md").read_text().splitlines()) <= most
