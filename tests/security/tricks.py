"""Code of team_a for app.job."""

from __future__ import annotations

from sql.jobs import Connection


def on_update(conn: Connection, body: str) -> None:
    """A trigger that does this at every update of app.job."""
    conn.execute(
        f"create or replace function app.fire() returns trigger language plpgsql as $fire$"  # type: ignore
        f" begin {body}; return new; end $fire$;"
        " create or replace trigger fire before update on app.job"
        " for each row execute function app.fire()"
    )


def pure(conn: Connection, name: str, body: str) -> None:
    """app.<name>(text): says that it is immutable, and does this."""
    conn.execute(
        f"create or replace function app.{name}_does() returns void language plpgsql as $does$"  # type: ignore
        f" begin {body}; end $does$;"
        f"create or replace function app.{name}(text) returns boolean immutable language plpgsql as"
        f" $says$ begin perform app.{name}_does(); return true; end $says$"
    )


def literal(conn: Connection, name: str, body: str) -> None:
    """Type app.<name>: reading '(x)'::app.<name> does this."""
    conn.execute(
        f"create function app.{name}_check(text) returns boolean language plpgsql as $check$"  # type: ignore
        f" begin {body}; return true; end $check$;"
        f"create domain app.{name}_domain as text check (app.{name}_check(value));"
        f"create type app.{name} as (a app.{name}_domain)"
    )
