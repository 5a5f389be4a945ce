"""A database with two teams, a table for every place, and sessions of everybody who may come."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import psycopg

from security.places import ATTEMPTS, CLOSE, OPEN, PLACES, TABLES, Table
from sql.jobs import Connection, boot, value, write_as

PASSWORD = "x"


class Run(NamedTuple):
    """One run of the attack."""

    place: str
    entry: str
    current_user: str
    session_user: str
    gained: list[str]


class Stage:
    """The roles of this process on one server, and a database to copy."""

    def __init__(self, server: Any, template: str) -> None:
        self.server = server
        self.tag = f"{os.getpid()}_{server.major}"
        self.team_a, self.team_b, self.team_c = (f"team_{x}_{self.tag}" for x in "abc")
        self.logins = {
            "server": f"server_{self.tag}",
            "owner": f"owner_{self.tag}",
            "listener": f"listener_{self.tag}",
        }
        self.bare = template
        self.name = f"stage_{self.tag}"
        self.prepared = f"teams_{self.tag}"
        self._numbers = 0
        self._made: set[str] = set()

    @property
    def roles(self) -> list[str]:
        return [self.team_a, self.team_b, self.team_c, *self.logins.values()]

    @property
    def runner(self) -> str:
        return f"recovery_runner_{self.team_a}"

    def make_roles(self) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as conn:
            self.superuser = value(conn, "select quote_ident(session_user)")
            for role in self.roles:
                conn.execute(f"create role {role} login password '{PASSWORD}'")  # type: ignore
            for role, login in self.logins.items():
                conn.execute(f"grant recovery_{role} to {login}")  # type: ignore

    def drop_roles(self) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as conn:
            for role in self.roles:
                for name in (role, f"recovery_runner_{role}"):
                    conn.execute(f"drop role if exists {name}")  # type: ignore

    def connect(self, dsn: str, role: str = "superuser") -> Connection:
        """A session of a role: superuser, server, owner, listener, team_a, team_b, team_c."""
        if role == "superuser":
            return psycopg.connect(dsn, autocommit=True)
        name = self.logins.get(role) or getattr(self, role)
        return psycopg.connect(dsn, user=name, password=PASSWORD, autocommit=True)

    @contextmanager
    def database(self, template: str) -> Iterator[str]:
        """A database from a template; what it is called is the cluster's."""
        self._numbers += 1
        name = f"security_{self.tag}_{self._numbers}"
        dsn = self.server.create_database(name, template)
        try:
            yield dsn
        finally:
            self.server.drop_database(name)

    @contextmanager
    def _making(self, name: str) -> Iterator[tuple[Connection, Connection]]:
        """A database to copy, and sessions of a superuser and of team_a in it."""
        self._made.add(name)
        dsn = self.server.create_database(name, self.bare)
        with ExitStack() as stack:
            yield tuple(
                stack.enter_context(self.connect(dsn, who)) for who in ("superuser", "team_a")
            )  # type: ignore
        with psycopg.connect(self.server.dsn(), autocommit=True) as conn:
            # Not even autovacuum may come between: a copy needs it for itself.
            conn.execute(f"alter database {name} with allow_connections false")  # type: ignore

    def leave(self) -> None:
        for name in self._made:
            self.server.drop_database(name)
        self.drop_roles()

    def prepare(self) -> None:
        """Makes the small one: schemas app of team_a and b of team_b, a table of each, and a function
        that tells."""
        if self.prepared in self._made:
            return
        with self._making(self.prepared) as (dba, a):
            for schema, team in (("app", self.team_a), ("b", self.team_b)):
                dba.execute(f"create schema {schema} authorization {team}")  # type: ignore
                dba.execute(f"grant usage on schema {schema} to public")  # type: ignore
                dba.execute("select recovery.permit(%s::regrole)", (team,))
            dba.execute(
                "create table b.secret (id bigint primary key, status text, title text);"  # type: ignore
                f"alter table b.secret owner to {self.team_b}"
            )
            attach(dba, "b.secret", {"close": {"status": "'failed'"}})
            a.execute(NOTES)

    def build(self) -> None:
        """Makes the large one: everything attached, a live server with a row in every table."""
        if self.name in self._made:
            return
        with self._making(self.name) as (dba, a):
            dba.execute(f"create schema app authorization {self.team_a}")  # type: ignore
            dba.execute(f"create schema b authorization {self.team_b}")  # type: ignore
            dba.execute("grant usage on schema app, b to public")
            for table in ("secret", "other"):
                dba.execute(
                    f"create table b.{table} (id bigint primary key, status text, title text);"  # type: ignore
                    f"alter table b.{table} owner to {self.team_b}"
                )
            for team in (self.team_a, self.team_b):
                dba.execute("select recovery.permit(%s::regrole)", (team,))
            attach(dba, "b.secret", {"close": {"status": "'failed'"}}, OPEN)
            dba.execute("insert into b.secret values (1, 'running')")
            a.execute(self.attack(dba))  # type: ignore
            a.execute(WRAPPERS)
            for table in TABLES:
                a.execute(table.ddl)  # type: ignore
            server = boot(dba)
            write_as(a, server.epoch)
            for table in TABLES:
                a.execute(f"insert into app.{table.name} default values")  # type: ignore
            # What is evaluated at attach, and what a full table would ask for.
            for table in TABLES:
                self.watch(dba, table)
                self.look(dba, table)
            for table in TABLES:
                a.execute(f"update app.{table.name} set server_epoch = {server.epoch}")  # type: ignore
            for place in PLACES:
                if place.later:
                    a.execute(place.fill(place.later))  # type: ignore

    def watch(self, conn: Connection, table: Table) -> None:
        """Attaches a table."""
        attach(conn, f"app.{table.name}", table.attach)

    def look(self, conn: Connection, table: Table, again: bool = False) -> None:
        """Puts a table under the watchdog."""
        options = {**table.supervise, **({"activity": "null"} if again else {})}
        given = ", ".join(f"p_{name} => %({name})s" for name in options)
        conn.execute(
            f"select recovery.supervise('app.{table.name}', {given})",  # type: ignore
            options,
        )

    def attack(self, conn: Connection) -> str:
        """The function that tries everything, once for each place, entry and user."""
        names = {
            "superuser": self.superuser,
            "team_a": self.team_a,
            "team_b": self.team_b,
            "foreign": value(conn, "select outbox from recovery.watch where name = 'b.secret'"),
            "own": value(conn, "select outbox + 1 from recovery.watch where name = 'b.secret'"),
            "runner": value(
                conn, "select id from recovery.runner where owner = %s::regrole", self.team_a
            ),
            "foreign_runner": value(
                conn, "select id from recovery.runner where owner = %s::regrole", self.team_b
            ),
        }
        blocks = ""
        for name, statement in ATTEMPTS.items():
            for key, by in names.items():
                statement = statement.replace("{" + key + "}", str(by))
            query = statement.split()[0] in ("select", "insert", "update", "delete")
            blocks += f"""
                begin
                    execute $q${statement}$q$;
                    get diagnostics v_rows = row_count;
                    if v_rows > 0 or {not query} then raise exception using errcode = 'ZZ001'; end if;
                exception
                    when sqlstate 'ZZ001' then v_gained := v_gained || $q${name}$q$::text;
                    when others then null;
                end;"""
        return ATTACK.replace("{blocks}", blocks)


NOTES = """
create function app.note(what text) returns boolean language plpgsql as $$
    begin
        raise warning 'note %', pg_catalog.json_build_array(what, current_user);
        return true;
    end $$;
create table app.job (id bigint primary key, status text, title text, error text);
"""

# It is armed by the session: what we prepare does not count. What an attempt does is taken back at once,
# so that the next one runs as before. It tells by a message, because what it wrote might be taken back.
ATTACK = """
create function app.attack(p_place text) returns boolean language plpgsql volatile as $attack$
declare
    v_entry  text := coalesce(current_setting('test.entry', true), '');
    v_gained text[] := '{}';
    v_rows   bigint;
begin
    if v_entry = '' then
        return true;
    end if;
    -- Once for each place and user, by a lock that outlives what is taken back.
    if (select count(*) from pg_catalog.pg_locks as l
        where l.locktype = 'advisory' and l.pid = pg_catalog.pg_backend_pid()
          and l.classid = pg_catalog.hashtext(p_place)::bigint & 2147483647
          and l.objid = pg_catalog.hashtext(current_user)::bigint & 2147483647) = 0
    then
        perform pg_catalog.pg_advisory_lock((pg_catalog.hashtext(p_place)::bigint & 2147483647)::integer,
            (pg_catalog.hashtext(current_user)::bigint & 2147483647)::integer);
        {blocks}
        raise warning 'attack %', pg_catalog.json_build_array(
            p_place, v_entry, current_user, session_user, v_gained);
    end if;
    return true;
end
$attack$
"""
WRAPPERS = """
create function app.pure(p_place text, p_status text default 'running') returns boolean
immutable language plpgsql as $$ begin return app.attack(p_place) and p_status = 'running'; end $$;
create function app.pure_text(p_place text, p_value text) returns text
immutable language plpgsql as $$ begin return case when app.attack(p_place) then p_value end; end $$;
create function app.pure_time(p_place text, p_value timestamptz) returns timestamptz
immutable language plpgsql as $$ begin return case when app.attack(p_place) then p_value end; end $$;
create function app.pure_span(p_place text, p_value text) returns interval
immutable language plpgsql as $$ begin return case when app.attack(p_place) then interval '30 minutes' end; end $$;
"""


def attach(conn: Connection, table: str, options: dict[str, Any], open: str = OPEN) -> None:
    """recovery.attach."""
    options = {"open": open, "close": CLOSE, **options}
    for name in ("close", "requeue"):
        if name in options:
            options[name] = json.dumps(options[name])
    given = ", ".join(f"p_{name} => %({name})s" for name in options)
    conn.execute(
        f"select recovery.attach(p_table => %(table)s::text::regclass, {given})",  # type: ignore
        {"table": table, **options},
    )


def arm(conn: Connection, entry: str) -> None:
    """From here on the attack runs in this session."""
    conn.execute("select set_config('test.entry', %s, false)", (entry,))


def runs(heard: list[str]) -> list[Run]:
    """What the attack told, among the messages of the sessions."""
    return [
        Run(*json.loads(said.removeprefix("attack ")))
        for said in heard
        if said.startswith("attack ")
    ]
