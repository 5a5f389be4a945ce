"""What can't work is refused where it is declared, by an error that names the model and the option."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import recovery
from python.declare.conftest import Servers

#: What SQLAlchemy and Alembic do does not depend on the server.
pytestmark = pytest.mark.majors("newest")

RUNNING = "status = 'running'"
FAILED = {"status": "'failed'"}


class State(enum.Enum):
    RUNNING = 1


class Point:
    """What no SQL knows."""


class PointType(sa.types.UserDefinedType[Point]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "point"


def job(**options: Any) -> type[Any]:
    """A model with that declaration."""

    class Base(DeclarativeBase):
        pass

    class Job(Base):
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str]
        place: Mapped[Any] = mapped_column(PointType)
        started_at: Mapped[datetime]
        day: Mapped[date]
        created_ms: Mapped[int]
        __recovery__ = recovery.Watch(**{"open": RUNNING, "close": FAILED, **options})

    class Other(Base):
        __tablename__ = "other"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str]

    Job.other = Other  # type: ignore[attr-defined]
    return Job


class C(DeclarativeBase):
    """A host with unlucky names."""


class Letter(C):
    __tablename__ = "c"
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a word that is meant as a text": (
        {"close": {"status": "failed"}},
        r'close status of .*Job is \'failed\': SQL text, .* no such column; .*literal\(\'failed\'\) or "\'failed\'"',
    ),
    "the same of a requeue": (
        {"requeue": {"status": "queued"}, "attempts": "created_ms"},
        "requeue status of .*Job is 'queued': SQL text",
    ),
    "a column that is not there": (
        {"close": {"state": "'failed'"}},
        "close of .*Job names 'state', and job has no such column",
    ),
    "an attempts column that is not there": (
        {"requeue": FAILED, "attempts": "tries"},
        "attempts of .*Job names 'tries', and job has no such column",
    ),
    "a column that is said twice": (
        {"close": lambda m: {m.status: "'a'", "status": "'b'"}},
        "close status of .*Job is said twice",
    ),
    "close is no mapping": ({"close": ["status"]}, r"close of .*Job is \['status'\]"),
    "a value without a literal": (
        {"close": {"place": Point()}},
        "close place of .*Job can't be written as SQL text: .*Point",
    ),
    "a value without a literal in open": (
        {"open": lambda m: m.place == Point()},
        "open of .*Job can't be written as SQL text",
    ),
    "a function that fails": (
        {"open": lambda m: m.state == "running"},
        "open of .*Job failed: AttributeError: .*state",
    ),
    "no expression": ({"open": object()}, "open of .*Job can't be written as SQL text"),
    "nothing": ({"open": None}, "open of .*Job is missing"),
    "the closing in open": (
        {"open": lambda m: m.status == recovery.c.message},
        r"open of .*Job uses recovery\.c, which is known in close and requeue only",
    ),
    "another table": (
        {"open": lambda m: m.other.status == "running"},
        "open of .*Job reads status of other; a watch reads and sets its own table, job; .*exists",
    ),
    "another table's column in close": (
        {"close": lambda m: {m.other.status: "'failed'"}},
        "close of .*Job reads status of other",
    ),
    "a clock without a zone": (
        {"started": lambda m: m.started_at},
        r"started of .*Job is started_at, which has no time zone; .*timezone\(\"UTC\", started_at\)",
    ),
    "a day": ({"started": lambda m: m.day}, "started of .*Job is day, which has no time zone"),
    "milliseconds": (
        {"started": lambda m: m.created_ms},
        r"started of .*Job is created_ms, a number; .*to_timestamp\(created_ms / 1000\.0\)",
    ),
    "activity without a zone": (
        {"activity": lambda m: m.started_at},
        "activity of .*Job is started_at, which has no time zone",
    ),
    "a subquery that hides the closing": (
        {"only": lambda m: sa.exists(sa.select(Letter.id).where(Letter.job_id == m.id))},
        "only of .*Job has a subquery over a table c, which hides the c of the watch",
    ),
    "one name for a list": ({"idle_topics": "idle"}, "idle_topics is a list of names, not the str"),
    "a bound parameter without a value": (
        {"open": lambda m: m.status == sa.bindparam("given")},
        "open of .*Job can't be written as SQL text",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(what: str) -> None:
    options, message = REFUSED[what]
    model = job(**options)
    with pytest.raises(recovery.InvalidArgument) as found:
        recovery.watches(model.metadata)
    assert re.search(message, str(found.value)), found.value


def test_words_that_are_sql() -> None:
    close = {"status": "current_user", "day": "CURRENT_DATE", "created_ms": "id", "place": "NULL"}
    [one] = recovery.watches(job(close=close))
    assert one.options["close"] == close


def test_a_joined_table_that_reads_its_parents() -> None:
    class Base(DeclarativeBase):
        pass

    class Work(Base):
        __tablename__ = "work"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        status: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "work"}  # noqa: RUF012

    class Export(Work):
        __tablename__ = "export"
        id: Mapped[int] = mapped_column(sa.ForeignKey(Work.id), primary_key=True)
        path: Mapped[str]
        __mapper_args__ = {"polymorphic_identity": "export"}  # noqa: RUF012

    for options, option in (
        ({"open": lambda m: m.status == "running", "close": {"path": "'-'"}}, "open"),
        ({"open": lambda m: m.path.is_(None), "close": {"status": "'failed'"}}, "close"),
        ({"open": "path is null", "close": lambda m: {m.status: "'failed'"}}, "close"),
    ):
        Export.__recovery__ = recovery.Watch(**options)  # type: ignore[attr-defined, arg-type]
        with pytest.raises(recovery.InvalidArgument) as found:
            recovery.watches(Base.metadata)
        assert re.search(
            f"{option} of .*Export reads status of work; .* its own table, export; declare it on"
            " .*Work, whose table that is",
            str(found.value),
        ), found.value


def test_two_watches_of_one_table() -> None:
    class Base(DeclarativeBase):
        pass

    class Work(Base):
        __tablename__ = "work"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "work"}  # noqa: RUF012

    class Export(Work):
        __recovery__ = recovery.Watch(open="kind = 'a'", close={"kind": "'b'"})
        __mapper_args__ = {"polymorphic_identity": "export"}  # noqa: RUF012

    assert [one.model for one in recovery.watches(Base)] == [Export]
    Work.__recovery__ = recovery.Watch(open="kind = 'c'", close={"kind": "'b'"})  # type: ignore[attr-defined]
    with pytest.raises(recovery.InvalidArgument, match=r"work has two watches: .*Export .*Work"):
        recovery.watches(Base)
    del Work.__recovery__  # type: ignore[attr-defined]
    Work.__table__.info["recovery"] = recovery.Watch(open="kind = 'c'", close={"kind": "'b'"})
    with pytest.raises(recovery.InvalidArgument, match=r"work has two watches: info.*Export"):
        recovery.watches(Base.metadata)


def test_two_watches_of_one_name() -> None:
    metadata = sa.MetaData()
    watch = recovery.Watch(name="jobs", open="true", close={"id": "1"})
    for name in ("a", "b"):
        sa.Table(
            name, metadata, sa.Column("id", sa.Integer, primary_key=True), info={"recovery": watch}
        )
    with pytest.raises(
        recovery.InvalidArgument, match=r"two watches have the name jobs: .*b and .*a"
    ):
        recovery.watches(metadata)


@pytest.mark.parametrize("wrong", [5, "recovery.Watch", {"open": "true"}])
def test_what_is_no_watch(wrong: object) -> None:
    class Base(DeclarativeBase):
        pass

    class Job(Base):
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        __recovery__ = wrong

    for source in (Base, Base.metadata, Job, Base.registry):
        with pytest.raises(
            recovery.InvalidArgument, match=r"__recovery__ of .*Job is .*no recovery"
        ):
            recovery.watches(source)
    del Job.__recovery__
    Job.__table__.info["recovery"] = wrong
    with pytest.raises(recovery.InvalidArgument, match=r'info\["recovery"\] of table job is'):
        recovery.watches(Base)


@pytest.mark.parametrize("source", [5, "job", object, lambda: None])
def test_what_declares_nothing(source: Any) -> None:
    with pytest.raises(recovery.InvalidArgument, match="declares nothing"):
        recovery.watches(source)


@pytest.mark.parametrize(
    ("close", "message"),
    [
        ({"status": "failed to"}, "close status"),
        ({"id": "5"}, 'column "id" .* cannot be set by a closing'),
        ({"total": "5"}, 'column "total" .* cannot be set by a closing'),
    ],
)
def test_what_only_postgresql_knows(
    close: dict[str, str],
    message: str,
    servers_of: Servers,
    conn: psycopg.Connection[Any],
    connect: Callable[..., Any],
) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "job",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text),
        sa.Column("total", sa.Integer, sa.Computed("id * 2", persisted=True)),
        info={"recovery": recovery.Watch(open=RUNNING, close=close)},
    )
    engine = servers_of.engine(None)
    metadata.create_all(engine)
    with pytest.raises(recovery.WatchInvalid, match=message):
        recovery.sync(engine, metadata)
    assert conn.execute(
        "select count(*) from recovery.watch where name = 'public.job'"
    ).fetchone() == (0,)
