"""tools/freeze.py: statements, order, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from schema.catalog import apply_desired, catalog, read
from tools import freeze
from tools.freeze import PIN, UNPIN, split

ONE_STATEMENT = [
    "select 1;",
    "select ';', $$;$$, $a$;$$;$a$, \";\", E'\\';', U&';' -- ;\n, 2 /* ; /* ; */ ; */;",
    "select 'it''s;', $1$, 'a' as a$b$c;",
    "select (array[1])[1], (';');",
    "create rule r as on insert to t do also (insert into u values (1); delete from v);",
    "create function f() returns int language sql\nbegin atomic select 1; select 2; end;",
    "create or replace procedure p() begin atomic\n"
    " insert into t select case when a then 1 else 2 end; delete from t; end;",
    "-- what it is\n/* and why; */ comment on table t is 'x';",
    "do $$ begin perform 1; end $$;",
    "select E'\\\\', 'a\\';",
    "select 1e5, .5, 1.5e-3, 0x1F, a.b$c from t;",
    'select e\'x\', $ä$;$ä$, "e"";";',
]


@pytest.mark.parametrize("statement", ONE_STATEMENT)
def test_split_keeps_a_statement_whole(statement: str) -> None:
    assert freeze.split(statement) == [statement]
    assert freeze.split(f"select 0;\n{statement}\n\n{statement} -- end\n;;") == [
        "select 0;",
        statement,
        statement,
    ]


@pytest.mark.parametrize("script", ["", "\n", "-- only this\n", "/* and /* this */ */", ";;"])
def test_split_drops_what_is_no_statement(script: str) -> None:
    assert freeze.split(script) == []


@pytest.mark.parametrize(
    "script",
    [
        "select 1",
        "select 1; select 2",
        "select 'a;",
        'select "a;',
        "select $$ a;",
        "select $a$ $$;",
        "/* a;",
        "select (1;",
        "create function f() begin atomic select 1;",
    ],
)
def test_split_refuses_what_is_not_finished(script: str) -> None:
    with pytest.raises(freeze.FreezeError):
        freeze.split(script)


def test_split_agrees_with_the_server(empty_dsn: str) -> None:
    """Executed one by one (as asyncpg does) and as a whole, the desired state is the same."""
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("set check_function_bodies = off")
        for part in freeze.PARTS:
            for path in freeze.ordered(freeze.ROOT / "sql", part):
                for statement in freeze.split(path.read_text()):
                    # Binary results need the extended protocol: one statement at a time.
                    conn.execute(statement.encode(), binary=True)
        pieces = read(conn)
        conn.rollback()
    apply_desired(empty_dsn)
    assert catalog(empty_dsn) == pieces


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("sql/setup", "sql/watch", "sql/agent_store", "alembic/versions"):
        (tmp_path / folder).mkdir(parents=True)
    write = {
        "setup/schema.sql": "create schema s;\n",
        "setup/f.sql": "create function s.f()\nreturns s.v\nreturn null;\n",
        "watch/v.sql": "create or replace view s.v as select;\n",
        "watch/b.sql": "create table s.b ();\n",
        "watch/a.sql": "-- first\ncreate table s.a ();\n\ncomment on table s.a is 'a';\n",
        "setup/grants.sql": "grant usage on schema s to public;\n",
        "setup/drop.sql": "drop schema s cascade;\n",
    }
    for name, text in write.items():
        (tmp_path / "sql" / name).write_text(text)
    return tmp_path


def frozen(tree: Path, name: str) -> str:
    return (tree / "alembic" / "versions" / name).read_text()


Main = Callable[..., int]


@pytest.fixture
def main(tree: Path) -> Main:
    return lambda *arguments: freeze.main(list(arguments), root=tree)


def test_writes_in_order_and_only_once(
    tree: Path, main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--check") == 1
    assert "run tools/freeze.py" in capsys.readouterr().err
    assert main() == 0
    pin, unpin = (
        "".join(f"{s}\n--;\n" for s in split(PIN)),
        "".join(f"--;\n{s}\n" for s in split(UNPIN)),
    )
    assert frozen(tree, "0001_core.sql") == (
        f"{pin}set check_function_bodies = off;\n--;\n"
        "-- sql/setup/schema.sql\ncreate schema s;\n--;\n"
        "-- sql/watch/a.sql\n-- first\ncreate table s.a ();\n--;\n"
        "comment on table s.a is 'a';\n--;\n"
        "-- sql/watch/b.sql\ncreate table s.b ();\n--;\n"
        "-- sql/setup/f.sql\ncreate function s.f()\nreturns s.v\nreturn null;\n--;\n"
        "-- sql/watch/v.sql\ncreate or replace view s.v as select;\n--;\n"
        "-- sql/setup/grants.sql\ngrant usage on schema s to public;\n--;\n"
        f"reset check_function_bodies;\n{unpin}"
    )
    assert (
        frozen(tree, "0001_core.down.sql")
        == f"{pin}-- sql/setup/drop.sql\ndrop schema s cascade;\n{unpin}"
    )
    assert capsys.readouterr().out.count("wrote") == 2
    assert main() == main("--check") == 0
    assert capsys.readouterr().out == ""
    (tree / "sql/watch/a.sql").write_text("create table s.a (id int);\n")
    assert main("--check") == 1
    assert main() == main("--check") == 0


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("setup/more.sql", "select 1;", "not in the order"),
        ("more/more.sql", "create type s.t as ();", "not a room"),
        ("watch/c.sql", "create table s.c ();\nselect 1", "sql/watch/c.sql: no semicolon"),
        ("watch/c.sql", "create table s.c ();\nselect '\n--;\n';", "separates"),
        ("watch/c.sql", "create table s.c ();\n-- why\nBEGIN;", "not possible in a migration"),
        (
            "watch/c.sql",
            "create table s.c ();\ncreate index concurrently i on t (a);",
            "not possible",
        ),
        ("watch/c.sql", "create table s.c ();\ncopy t from stdin;", "not possible"),
        ("watch/c.sql", "create table s.c ();\n\\i other.sql;", "not possible"),
    ],
)
def test_refuses(
    tree: Path, main: Main, capsys: pytest.CaptureFixture[str], name: str, text: str, words: str
) -> None:
    (tree / "sql" / name).parent.mkdir(exist_ok=True)
    (tree / "sql" / name).write_text(text)
    assert main() == 1
    assert words in capsys.readouterr().err
    assert not list((tree / "alembic/versions").iterdir())


def test_a_downgrade_is_required(
    tree: Path, main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "sql/setup/drop.sql").unlink()
    assert main() == 1
    assert "sql/setup/drop.sql is missing" in capsys.readouterr().err


def test_a_released_revision_never_changes(
    tree: Path, main: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tree / "alembic/versions/0001_core.py"
    script.write_text("revision = '1'\n")
    assert main() == 0
    assert main("--release") == 0
    listed = freeze.released(tree)
    assert sorted(listed) == ["0001_core.down.sql", "0001_core.py", "0001_core.sql"]
    before = frozen(tree, "0001_core.sql")

    # The desired state goes on; that is a later revision's business.
    (tree / "sql/schema.sql").write_text("create schema other;\n")
    assert main() == main("--check") == 0
    assert frozen(tree, "0001_core.sql") == before

    script.write_text("revision = '2'\n")
    assert main() == main("--check") == main("--release") == 1
    assert "0001_core.py: released, and changed since" in capsys.readouterr().err
    assert freeze.released(tree) == listed
    shutil.rmtree(tree / "alembic/versions")
    (tree / "alembic/versions").mkdir()
    assert main("--check") == 1


def test_this_tree() -> None:
    assert freeze.main(["--check"]) == 0
