"""Which setting applies, and what the status view lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sql.jobs import Connection, value

#: (watch, kind, group) -> value; every combination, more and more specific.
SCOPES = {
    ("", "", ""): "00:00:01",
    ("w", "", ""): "00:00:02",
    ("", "k", ""): "00:00:03",
    ("w", "k", ""): "00:00:04",
    ("", "", "g"): "00:00:05",
    ("w", "", "g"): "00:00:06",
    ("", "k", "g"): "00:00:07",
    ("w", "k", "g"): "00:00:08",
}


def put(
    conn: Connection, scope: tuple[str, str, str], given: str, name: str = "tool_timeout"
) -> None:
    conn.execute(
        "insert into recovery.setting (name, watch, kind, group_key, value) values (%s, %s, %s, %s, %s)",
        (name, *scope, given),
    )


def setting_of(conn: Connection, *scope: str | None, name: str = "tool_timeout") -> Any:
    given = (*scope, None, None, None)[:3]
    return value(conn, "select recovery.get_setting(%s, %s, %s, %s)", name, *given)


@pytest.fixture
def all_set(conn: Connection) -> Iterator[Connection]:
    """One row for each combination of watch, kind and group."""
    for scope, given in SCOPES.items():
        put(conn, scope, given)
    return conn


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((None, None, None), ("", "", "")),
        (("", "", ""), ("", "", "")),
        (("w", None, None), ("w", "", "")),
        ((None, "k", None), ("", "k", "")),
        (("w", "k", None), ("w", "k", "")),
        ((None, None, "g"), ("", "", "g")),
        (("w", None, "g"), ("w", "", "g")),
        ((None, "k", "g"), ("", "k", "g")),
        (("w", "k", "g"), ("w", "k", "g")),
        (("x", None, None), ("", "", "")),
        (("x", "k", None), ("", "k", "")),
        (("w", "x", None), ("w", "", "")),
        (("w", "k", "x"), ("w", "k", "")),
        (("x", "x", "g"), ("", "", "g")),
        (("x", "x", "x"), ("", "", "")),
        (("W", "K", "G"), ("", "", "")),
    ],
)
def test_the_most_specific_that_applies(
    all_set: Connection, asked: tuple[str | None, ...], found: tuple[str, str, str]
) -> None:
    assert setting_of(all_set, *asked) == SCOPES[found]


#: From the strongest to the weakest, for work that all of them apply to.
ORDER = [
    ("w", "k", "g"),
    ("", "k", "g"),
    ("w", "", "g"),
    ("", "", "g"),
    ("w", "k", ""),
    ("", "k", ""),
    ("w", "", ""),
    ("", "", ""),
]


def test_group_goes_before_kind_before_watch_before_all(all_set: Connection) -> None:
    for scope in ORDER:
        assert setting_of(all_set, "w", "k", "g") == SCOPES[scope]
        all_set.execute(
            "delete from recovery.setting where (watch, kind, group_key) = (%s, %s, %s)", scope
        )
    assert setting_of(all_set, "w", "k", "g") is None


def test_off_for_something_hides_the_wider_limit(conn: Connection) -> None:
    put(conn, ("", "", ""), "00:10:00")
    put(conn, ("", "task", ""), "off")
    assert setting_of(conn, None, "task") is None
    assert setting_of(conn, None, "bash") == "00:10:00"


def test_names_do_not_mix(conn: Connection) -> None:
    put(conn, ("", "", "g"), "00:10:00", name="task_timeout")
    assert setting_of(conn, "w", "k", "g") is None


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("tool_timeout", None),
        ("task_timeout", None),
        ("idle_timeout", None),
        ("wall_timeout", None),
        ("propagation_grace", "00:00:30"),
        ("cancel_grace", "00:00:10"),
        ("idle_roots", "false"),
        ("unowned_expected", "false"),
        ("event_retention", "7 days"),
        ("history_retention", "30 days"),
        ("drop_unread", "false"),
    ],
)
def test_the_built_in_defaults(conn: Connection, name: str, default: str | None) -> None:
    assert setting_of(conn, "w", "k", "g", name=name) == default
    given = "true" if default == "false" else "00:00:00.5"
    put(conn, ("w", "", ""), given, name=name)
    assert setting_of(conn, "w", name=name) == given
    assert setting_of(conn, "x", name=name) == default


def status(conn: Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select name, watch, kind, group_key, value, source from recovery.setting_status"
    ).fetchall()


def test_every_setting_has_a_default_that_could_be_set(conn: Connection) -> None:
    assert len(status(conn)) == 11
    for name, _, _, _, default, source in status(conn):
        assert source == "default"
        assert value(conn, "select recovery.check_setting(%s, %s)", name, default) == default


def test_the_status_shows_a_default_only_while_it_counts(conn: Connection) -> None:
    put(conn, ("", "bash", ""), "00:20:00")
    assert [row for row in status(conn) if row[0] == "tool_timeout"] == [
        ("tool_timeout", "", "", "", "off", "default"),
        ("tool_timeout", "", "bash", "", "00:20:00", "set"),
    ]
    put(conn, ("", "", ""), "00:10:00")
    assert [row for row in status(conn) if row[0] == "tool_timeout"] == [
        ("tool_timeout", "", "", "", "00:10:00", "set"),
        ("tool_timeout", "", "bash", "", "00:20:00", "set"),
    ]
