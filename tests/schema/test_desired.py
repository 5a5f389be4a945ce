"""The desired state of sql/ is what the migrations make."""

from __future__ import annotations

import psycopg
import pytest

from recovery import schema
from schema.catalog import apply_desired, catalog, read, watches
from tools import freeze


def test_the_frozen_sql_is_that_of_the_desired_state() -> None:
    assert freeze.problems(freeze.ROOT) == []


def test_desired_equals_migrated(empty_dsn: str, dsn: str) -> None:
    apply_desired(empty_dsn)
    desired, migrated = catalog(empty_dsn), catalog(dsn)
    for kind in desired:
        assert migrated[kind] == desired[kind], kind
    assert len(desired["routines"]) > 20
    assert watches(dsn) == watches(empty_dsn)


def test_the_core_alone_has_no_agent_store(empty_dsn: str, dsn: str) -> None:
    schema.upgrade(empty_dsn, "recovery@head")
    alone = catalog(empty_dsn)
    assert not any("agent" in row.split(",")[0] for rows in alone.values() for row in rows)
    assert watches(empty_dsn) == []
    schema.upgrade(empty_dsn)
    assert catalog(empty_dsn) == catalog(dsn)


CHANGES = {
    "routine body": "do $$ begin execute replace(pg_get_functiondef("
    "'recovery.version()'::regprocedure), '0.1', '0.2'); end $$",
    "volatility": "alter function recovery.version() volatile",
    "security": "alter function recovery.version() security definer",
    "configuration": "alter function recovery.version() set search_path = public",
    "routine owner": "alter function recovery.version() owner to current_user",
    "routine privilege": "grant execute on function recovery.version() to public",
    "routine comment": "comment on function recovery.version() is 'other'",
    "schema comment": "comment on schema recovery is null",
    "schema privilege": "grant create on schema recovery to recovery_server",
    "private schema comment": "comment on schema recovery_private is null",
    "private schema privilege": "grant usage on schema recovery_private to recovery_server",
    "private schema owner": "alter schema recovery_private owner to current_user",
    "runner's function": "alter function recovery_private.run_1 security invoker",
    "runner's function, owner": "alter function recovery_private.run_1 owner to current_user",
    "runner's function, privilege": "grant execute on function recovery_private.run_1 to recovery_server",
    "table comment": "comment on table recovery.server is null",
    "table privilege": "grant insert on recovery.server to recovery_listener",
    "table owner": "alter table recovery.server owner to current_user",
    "table option": "alter table recovery.server set (fillfactor = 33)",
    "column comment": "comment on column recovery.server.name is null",
    "column default": "alter table recovery.server alter booted set default now()",
    "column null": "alter table recovery.server alter host set not null",
    "column privilege": "grant select (token) on recovery.server to recovery_listener",
    "constraint": "alter table recovery.server add constraint c check (name <> 'x')",
    "index": "create index on recovery.server (host)",
    "index comment": "comment on index recovery.server_pkey is 'x'",
    "view": "create view recovery.more as select 1 as one",
    "trigger off": "alter table agent.part disable trigger recovery_20_update",
    "trigger gone": "drop trigger recovery_30_delete on agent.part",
    "sequence": "create sequence agent.more",
    "type": "create type agent.mood as enum ('a')",
}


@pytest.mark.majors("newest")
def test_the_comparison_sees_every_change(dsn: str) -> None:
    """Each of these is found, so that the equality above means something."""
    before = catalog(dsn)
    unseen = []
    for name, statement in CHANGES.items():
        with psycopg.connect(dsn) as conn:
            conn.execute(statement.encode())
            if read(conn) == before:
                unseen.append(name)
            conn.rollback()
    assert not unseen
    assert catalog(dsn) == before
