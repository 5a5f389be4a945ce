"""A model that maps server_epoch writes NULL into it by all ways that the ORM has: the owner stays."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import recovery
from python.declare.conftest import Servers

#: What SQLAlchemy and Alembic do does not depend on the server.
pytestmark = pytest.mark.majors("newest")


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column()
    note: Mapped[str | None]
    server_epoch: Mapped[int | None] = mapped_column(sa.BigInteger)
    __recovery__ = recovery.Watch(open=status == "running", close={"status": sa.literal("failed")})


@pytest.fixture
def session(servers_of: Servers) -> Session:
    """A session of server ``a``; the table is watched."""
    nobody = servers_of.engine(None)
    Base.metadata.create_all(nobody)
    recovery.sync(nobody, Base)
    return servers_of.session("a")


def owners(conn: psycopg.Connection[Any]) -> list[Any]:
    return [row[0] for row in conn.execute("select server_epoch from job order by id")]


def test_inserts(session: Session, servers_of: Servers, conn: psycopg.Connection[Any]) -> None:
    mine = servers_of.epochs["a"]
    session.add(Job(status="running"))
    session.flush()
    session.add_all([Job(status="running", server_epoch=None) for _ in range(5)])  # many values
    session.flush()
    session.execute(sa.insert(Job), [{"status": "running", "server_epoch": None}] * 3)
    session.execute(
        sa.insert(Job).returning(Job.id), [{"status": "running", "server_epoch": None}] * 3
    )
    session.execute(sa.insert(Job).values([{"status": "running", "server_epoch": None}] * 2))
    session.commit()
    assert owners(conn) == [mine] * 14
    assert servers_of.crash("a") == {"public.job": 14}


def test_updates(session: Session, servers_of: Servers, conn: psycopg.Connection[Any]) -> None:
    mine = servers_of.epochs["a"]
    for number in range(1, 6):
        session.execute(sa.insert(Job).values(id=number, status="running"))
    session.commit()
    first = session.get_one(Job, 1)
    first.server_epoch, first.note = None, "unit of work"
    session.flush()
    session.execute(sa.update(Job).where(Job.id == 2).values(server_epoch=None, note="statement"))
    session.execute(
        sa.update(Job), [{"id": 3, "server_epoch": None}, {"id": 4, "server_epoch": None}]
    )
    session.merge(Job(id=5, status="running", server_epoch=None, note="merged"))
    session.commit()
    assert owners(conn) == [mine] * 5
    assert servers_of.crash("a") == {"public.job": 5}


def test_upserts_and_merges_of_new_rows(
    session: Session, servers_of: Servers, conn: psycopg.Connection[Any]
) -> None:
    mine = servers_of.epochs["a"]
    session.merge(Job(id=1, status="running", server_epoch=None))
    session.execute(sa.insert(Job).values(id=2, status="queued"))
    for number in (1, 2, 3):
        row = insert(Job).values(id=number, status="running", server_epoch=None)
        session.execute(
            row.on_conflict_do_update(
                index_elements=[Job.id],
                set_={"status": row.excluded.status, "server_epoch": row.excluded.server_epoch},
            )
        )
    session.commit()
    assert owners(conn) == [mine] * 3
    assert servers_of.crash("a") == {"public.job": 3}


def test_a_claim_and_the_end(
    session: Session, servers_of: Servers, conn: psycopg.Connection[Any]
) -> None:
    """What another has opened is whose it was; what is done keeps no claim on the next owner."""
    mine = servers_of.epochs["a"]
    other = servers_of.session("b")
    job = Job(status="queued", server_epoch=None)
    session.add(job)
    session.commit()
    assert owners(conn) == [None]
    claimed = other.get_one(Job, job.id)
    claimed.status = "running"
    other.commit()
    assert owners(conn) == [servers_of.epochs["b"]]
    job.note = "seen by another"
    session.commit()
    assert owners(conn) == [servers_of.epochs["b"]]
    claimed.status = "queued"
    other.commit()
    session.refresh(job)
    job.status = "running"
    session.commit()
    assert owners(conn) == [mine]
    assert servers_of.crash("b") == {}
    assert servers_of.crash("a") == {"public.job": 1}


def test_the_column_is_the_hosts(session: Session, conn: psycopg.Connection[Any]) -> None:
    """Attaching leaves the mapped column as it is, and detaching too."""
    nobody = session.get_bind()
    assert isinstance(nobody, sa.Engine)
    with nobody.begin() as connection:
        recovery.detach(connection, "job")
    names = {column["name"] for column in sa.inspect(nobody).get_columns("job")}
    assert "server_epoch" in names
