"""recovery._render_sql: templates of SQL with named holes."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from sql.jobs import Connection, value


def render(conn: Connection, template: str, **holes: Any) -> str:
    return str(value(conn, "select recovery._render_sql(%s, %s)", template, json.dumps(holes)))


def test_a_value_stands_as_it_is_wherever_its_name_does(conn: Connection) -> None:
    text = render(conn, "select {a} from {b} where {a}", a="x + 1", b="app.job")
    assert text == "select x + 1 from app.job where x + 1"


def test_numbers_and_truth_are_printed(conn: Connection) -> None:
    assert render(conn, "u{n} {yes}", n=3, yes=True) == "u3 true"


def test_l_quotes_a_literal_and_i_an_identifier(conn: Connection) -> None:
    text = render(conn, "{a!l} {a!i} {a} {none!l}", a="it's \\ {a!l}", none=None)
    assert text == """E'it''s \\\\ {a!l}' "it's \\ {a!l}" it's \\ {a!l} NULL"""


def test_values_are_not_looked_at(conn: Connection) -> None:
    text = render(conn, "{a}{b}", a="'{b} {c} %1$s' || '{a}'", b="{a}{")
    assert text == "'{b} {c} %1$s' || '{a}'{a}{"


@pytest.mark.parametrize("text", ["'{}'", "'{\"a\": 1}'", "{", "}", "{ a }", "{A}", "a{1}", ""])
def test_other_braces_stay(conn: Connection, text: str) -> None:
    assert render(conn, f"{text} {{a}} {text}", a="x") == f"{text} x {text}"
    assert render(conn, text) == text


@pytest.mark.parametrize(
    ("text", "holes"),
    [
        ("select {a}, {b}", {"a": "x"}),
        ("select {b!l}", {}),
        ("select {a}", {"a": None}),
        ("select {a!i}", {"a": None}),
        ("select {a!x}", {"a": "x"}),
        ("select {a!}", {"a": "x"}),
    ],
)
def test_a_hole_without_a_value_is_an_error(
    conn: Connection, text: str, holes: dict[str, Any]
) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match=r"hole \{[ab]!?[a-z]?\}"):
        render(conn, text, **holes)


@pytest.mark.parametrize("text", ["select {a}", "select {a} {c", "select {a} c}", "{a}{{c }"])
def test_a_value_without_a_hole_is_an_error(conn: Connection, text: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="no hole for c"):
        render(conn, text, a="x", c="y")


def test_an_indented_template_comes_out_flush_left(conn: Connection) -> None:
    text = render(
        conn, "\n        select {a}\n          from b\n\n        where c\n        ", a="x"
    )
    assert text == "select x\n  from b\n\nwhere c"


def test_a_fragment_may_stay_indented(conn: Connection) -> None:
    assert render(conn, "\n        if {a} then\n        end if;\n    ", a="x") == (
        "    if x then\n    end if;"
    )


def test_values_keep_their_indentation(conn: Connection) -> None:
    text = render(conn, "\n    {a}\n        {b}\n    ", a="'x\n    y'", b="1\n    2")
    assert text == "'x\n    y'\n    1\n    2"


def test_a_line_of_one_empty_hole_goes_away(conn: Connection) -> None:
    text = render(conn, "\n    a\n        {x}\n    b {x} c\n    {y}\n    {x}\n    ", x="", y="y")
    assert text == "a\nb  c\ny\n"
