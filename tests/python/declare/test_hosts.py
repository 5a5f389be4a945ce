"""Every kind of model: declared, put in place, written by the ORM; exactly the orphans close."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

import recovery
from python.declare.conftest import Servers
from python.declare.hosts import HOSTS

#: What SQLAlchemy and Alembic do does not depend on the server.
pytestmark = pytest.mark.majors("newest")


@pytest.mark.parametrize("kind", HOSTS)
def test_exactly_the_orphans_close(kind: str, servers_of: Servers) -> None:
    host = HOSTS[kind]()
    nobody = servers_of.engine(None)
    with nobody.begin() as conn:
        for statement in host.ddl:
            conn.execute(sa.text(statement))
        host.metadata.create_all(conn)
    changes = recovery.sync(nobody, host.metadata)
    assert (host.name, "attach") in [(one.name, one.action) for one in changes]
    dead, live, other = (servers_of.session(name) for name in ("dead", "live", None))
    orphans = [host.open(), host.open(), host.open()]
    kept = [host.done(), host.done()]
    dead.add_all([*orphans, *kept])
    dead.commit()
    others = [host.open(), host.done()]
    live.add_all(others)
    live.commit()
    unowned = [host.open(), host.done()] if "unowned" not in host.options else [host.done()]
    other.add_all(unowned)
    other.commit()

    closed = servers_of.crash("dead")

    assert closed == {host.name: len(orphans)}
    for session, rows, is_closed in (
        (dead, orphans, True),
        (dead, kept, False),
        (live, others, False),
        (other, unowned, False),
    ):
        for row in rows:
            session.refresh(row)
            assert host.closed(row) is is_closed
    # And it stays as it is.
    again = recovery.sync(nobody, host.metadata)
    assert {one.action for one in again} == {"keep"}
    assert recovery.sync(nobody, host.metadata, dry_run=True) == again


@pytest.mark.parametrize("kind", HOSTS)
def test_the_text(kind: str) -> None:
    host = HOSTS[kind]()
    found = {one.name: one for one in recovery.watches(host.metadata)}
    options: dict[str, Any] = dict(found[host.name].options)
    assert {name: options[name] for name in host.options} == host.options
