"""Applications, each with a table of another kind and its declaration.

Each function makes a host anew: its metadata, how it writes a row that is open and one that is done,
and how it sees that recovery has closed one.
"""

from __future__ import annotations

import enum
import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    MappedColumn,
    column_property,
    declared_attr,
    mapped_column,
    registry,
    relationship,
)

import recovery

numbers = itertools.count(1)


@dataclass
class Host:
    """One application."""

    metadata: sa.MetaData
    #: A new row in flight, and one that is done.
    open: Callable[[], Any]
    done: Callable[[], Any]
    #: Whether recovery closed it.
    closed: Callable[[Any], bool]
    #: What recovery calls the watch.
    name: str
    #: What else has to be in the database.
    ddl: tuple[str, ...] = ()
    #: What `compile` gives, where it is worth a look.
    options: dict[str, Any] = field(default_factory=dict)


HOSTS: dict[str, Callable[[], Host]] = {}


def host(make: Callable[[], Host]) -> Callable[[], Host]:
    HOSTS[make.__name__] = make
    return make


def base() -> Any:
    class Base(DeclarativeBase):
        pass

    return Base


@host
def expressions_in_the_body() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str] = mapped_column()
        error: Mapped[str | None] = mapped_column()
        finished_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
        __recovery__ = recovery.Watch(
            open=status == "running",
            close={
                status: sa.literal("failed"),
                "error": recovery.c.message,
                "finished_at": recovery.c.at,
            },
        )

    return Host(
        Job.metadata,
        lambda: Job(status="running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed" and bool(job.error) and job.finished_at is not None,
        "public.job",
        options={
            "open": "r.status = 'running'",
            "close": {"status": "'failed'", "error": "c.message", "finished_at": "c.at"},
        },
    )


@host
def functions_over_the_model() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str]
        __recovery__ = recovery.Watch(
            open=lambda m: m.status.in_(["running", "100% \\ 'quoted'"]),
            close=lambda m: {m.status: sa.literal("failed")},
        )

    return Host(
        Job.metadata,
        lambda: Job(status="100% \\ 'quoted'" if next(numbers) % 2 else "running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed",
        "public.job",
        options={
            "open": "r.status IN ('running', '100% \\ ''quoted''')",
            "close": {"status": "'failed'"},
        },
    )


@host
def sql_text() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str]
        error: Mapped[str | None]
        __recovery__ = recovery.Watch(
            open="status = 'running'",
            close={"status": "'failed'", "error": sa.text("c.message || ' 5%'")},
        )

    return Host(
        Job.metadata,
        lambda: Job(status="running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed" and job.error.endswith(" 5%"),
        "public.job",
    )


class State(enum.Enum):
    RUNNING = "is running"
    DONE = "is done"
    FAILED = "has failed"


class Word(enum.StrEnum):
    RUNNING = "is running"
    DONE = "is done"
    FAILED = "has failed"


@host
def native_enum_by_name_in_a_schema() -> Host:
    metadata_ = sa.MetaData(schema="Work")

    class Base(DeclarativeBase):
        metadata = metadata_

    class Job(Base):
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        state: Mapped[State] = mapped_column(sa.Enum(State, name="State"))
        __recovery__ = recovery.Watch(open=state == State.RUNNING, close={"state": State.FAILED})

    return Host(
        Job.metadata,
        lambda: Job(state=State.RUNNING),
        lambda: Job(state=State.DONE),
        lambda job: job.state is State.FAILED,
        "Work.job",
        ('create schema "Work"',),
        {"open": "r.state = 'RUNNING'", "close": {"state": "'FAILED'"}},
    )


@host
def native_enum_with_a_cast() -> Host:
    kind = sa.Enum(State, name="state", schema="work")

    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        state: Mapped[State] = mapped_column(kind)
        __recovery__ = recovery.Watch(
            open=lambda m: m.state == sa.cast(sa.literal("RUNNING"), kind),
            close=lambda m: {m.state: sa.cast(sa.literal("FAILED"), kind)},
        )

    return Host(
        Job.metadata,
        lambda: Job(state=State.RUNNING),
        lambda: Job(state=State.DONE),
        lambda job: job.state is State.FAILED,
        "public.job",
        ("create schema work",),
    )


@host
def enum_by_value_of_an_annotation() -> Host:
    class Base(DeclarativeBase):
        type_annotation_map = {  # noqa: RUF012
            Word: sa.Enum(Word, values_callable=lambda e: [each.value for each in e])
        }

    class Job(Base):
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        state: Mapped[Word] = mapped_column()
        __recovery__ = recovery.Watch(
            open=state.in_([Word.RUNNING]),
            close={"state": Word.FAILED},
        )

    return Host(
        Job.metadata,
        lambda: Job(state=Word.RUNNING),
        lambda: Job(state=Word.DONE),
        lambda job: job.state is Word.FAILED,
        "public.job",
        options={"open": "r.state IN ('is running')", "close": {"state": "'has failed'"}},
    )


@host
def enum_in_a_text_column() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        state: Mapped[State] = mapped_column(sa.Enum(State, native_enum=False, length=20))
        __recovery__ = recovery.Watch(open=state == State.RUNNING, close={"state": State.FAILED})

    return Host(
        Job.metadata,
        lambda: Job(state=State.RUNNING),
        lambda: Job(state=State.DONE),
        lambda job: job.state is State.FAILED,
        "public.job",
    )


@host
def jsonb_paths() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        data: Mapped[dict[str, Any]] = mapped_column(MutableDict.as_mutable(pg.JSONB))
        log: Mapped[Any] = mapped_column(sa.JSON)
        __recovery__ = recovery.Watch(
            open=lambda m: (
                (m.data["state"].astext == "running") & (m.data[("run", "by")].astext != "it's me")
            ),
            close=lambda m: {
                m.data: m.data.concat({"state": "failed", "why": "5% \\ it's"}),
                "log": {"closed": [True, None, "a\\b"]},
            },
        )

    def row(state: str) -> Job:
        return Job(data={"state": state, "run": {"by": "you"}}, log=[])

    return Host(
        Job.metadata,
        lambda: row("running"),
        lambda: row("done"),
        lambda job: (
            job.data == {"state": "failed", "run": {"by": "you"}, "why": "5% \\ it's"}
            and job.log == {"closed": [True, None, "a\\b"]}
        ),
        "public.job",
    )


@host
def milliseconds() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        created_ms: Mapped[int] = mapped_column(sa.BigInteger)
        ended_ms: Mapped[int | None] = mapped_column(sa.BigInteger)
        __recovery__ = recovery.Watch(
            open=ended_ms.is_(None),
            close={"ended_ms": recovery.c.ms},
            started=sa.func.to_timestamp(created_ms / 1000.0),
            launch_grace=timedelta(milliseconds=1),
            unowned=timedelta(days=1),
        )

    return Host(
        Job.metadata,
        lambda: Job(created_ms=1_700_000_000_000),
        lambda: Job(created_ms=1_700_000_000_000, ended_ms=1),
        lambda job: (job.ended_ms or 0) > 1_700_000_000_000,
        "public.job",
        options={"launch_grace": "1000 microseconds", "unowned": "86400 seconds"},
    )


@host
def a_clock_without_a_zone() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        started_at: Mapped[datetime]
        ended_at: Mapped[datetime | None]
        __recovery__ = recovery.Watch(
            open=lambda m: m.ended_at.is_(None),
            close={"ended_at": sa.func.timezone("UTC", recovery.c.at)},
            started=lambda m: sa.func.timezone("UTC", m.started_at),
            launch_grace="1 second",
            activity=lambda m: sa.func.timezone("UTC", m.started_at),
            timeout=sa.literal(timedelta(hours=1), pg.INTERVAL),
        )

    long_ago = datetime(2024, 1, 1)
    return Host(
        Job.metadata,
        lambda: Job(started_at=long_ago),
        lambda: Job(started_at=long_ago, ended_at=long_ago),
        lambda job: job.ended_at is not None and job.ended_at != long_ago,
        "public.job",
        options={"started": "timezone('UTC', r.started_at)"},
    )


@host
def a_clock_with_a_zone() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        started_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
        ended_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
        day: Mapped[date | None]
        __recovery__ = recovery.Watch(
            open=ended_at.is_(None) & (started_at > datetime(2000, 1, 1, tzinfo=UTC)),
            close={"ended_at": datetime(2030, 1, 1, tzinfo=UTC), "day": date(2030, 1, 1)},
            started=started_at,
            launch_grace=timedelta(seconds=1),
        )

    then = datetime(2024, 1, 1, tzinfo=UTC)
    return Host(
        Job.metadata,
        lambda: Job(started_at=then),
        lambda: Job(started_at=then, ended_at=then),
        lambda job: (
            job.ended_at == datetime(2030, 1, 1, tzinfo=UTC) and job.day == date(2030, 1, 1)
        ),
        "public.job",
        options={"started": "r.started_at"},
    )


@host
def uuid_key_and_values_of_many_types() -> Host:
    nobody = uuid.UUID(int=0)

    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        worker: Mapped[uuid.UUID]
        price: Mapped[Decimal]
        share: Mapped[float]
        raw: Mapped[bytes | None]
        note: Mapped[str | None] = mapped_column(default="x")
        tags: Mapped[list[str]] = mapped_column(pg.ARRAY(sa.Text))
        __recovery__ = recovery.Watch(
            open=lambda m: (m.worker != nobody) & m.tags.contains(["a,'b"]),
            close={
                "worker": nobody,
                "price": Decimal("1.50"),
                "share": 0.25,
                "raw": b"\x00'\\",
                "note": None,
                "tags": ["failed", "it's"],
            },
        )

    def row(worker: uuid.UUID) -> Job:
        return Job(worker=worker, price=1, share=1, tags=["a,'b", "c"])

    return Host(
        Job.metadata,
        lambda: row(uuid.uuid4()),
        lambda: row(nobody),
        lambda job: (
            (job.worker, job.price, job.share, job.raw, job.note, job.tags)
            == (nobody, Decimal("1.50"), 0.25, b"\x00'\\", None, ["failed", "it's"])
        ),
        "public.job",
    )


@host
def composite_key_and_groups() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        tenant: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
        number: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str] = mapped_column()
        attempts: Mapped[int] = mapped_column(default=0)
        __recovery__ = recovery.Watch(
            open=status == "running",
            close={"status": sa.literal("failed")},
            group=tenant,
            order=(tenant, number),
            image=lambda m: sa.func.jsonb_build_object("status", m.status),
            requeue=lambda m: {m.status: sa.literal("queued")},
            attempts=attempts,
            max_attempts=1,
            only=lambda m: m.number > 0,
            topic="job",
            events="closed",
        )

    return Host(
        Job.metadata,
        lambda: Job(number=next(numbers), status="running"),
        lambda: Job(number=next(numbers), status="done"),
        lambda job: job.status == "failed",
        "public.job",
        options={"order": "r.tenant, r.number", "attempts": "attempts", "group": "r.tenant"},
    )


@host
def names_that_need_quotes() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = 'Job "of" user'
        __table_args__ = {"schema": "Mixed Case"}  # noqa: RUF012
        id: Mapped[int] = mapped_column("Id", primary_key=True)
        state: Mapped[str] = mapped_column("order")
        why: Mapped[str | None] = mapped_column("Why 100%")
        __recovery__ = recovery.Watch(
            open=state == "running",
            close={"state": sa.literal("failed"), why: recovery.c.message + " 100%"},
        )

    return Host(
        Job.metadata,
        lambda: Job(state="running"),
        lambda: Job(state="done"),
        lambda job: job.state == "failed" and job.why.endswith(" 100%"),
        'Mixed Case.Job "of" user',
        ('create schema "Mixed Case"',),
        {"open": "r.\"order\" = 'running'"},
    )


@host
def generated_column() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        data: Mapped[dict[str, Any]] = mapped_column(pg.JSONB)
        state: Mapped[str] = mapped_column(sa.Computed("data ->> 'state'", persisted=True))
        __recovery__ = recovery.Watch(
            open=state == "running",
            close={"data": sa.func.jsonb_build_object("state", "failed")},
        )

    return Host(
        Job.metadata,
        lambda: Job(data={"state": "running"}),
        lambda: Job(data={"state": "done"}),
        lambda job: job.state == "failed",
        "public.job",
    )


@host
def hybrids_and_column_properties() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str] = mapped_column()
        label: Mapped[str] = column_property(status + "!")

        @hybrid_property
        def is_running(self) -> bool:
            return self.status == "running"

        __recovery__ = recovery.Watch(
            open=lambda m: m.is_running & (m.label == "running!"),
            close={"status": sa.literal("failed")},
        )

    return Host(
        Job.metadata,
        lambda: Job(status="running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed",
        "public.job",
        options={"open": "r.status = 'running' AND (r.status || '!') = 'running!'"},
    )


Id = Annotated[int, mapped_column(primary_key=True)]


class Level(sa.types.TypeDecorator[str]):
    """Words as numbers."""

    impl = sa.Integer
    cache_ok = True
    words = ("done", "running", "failed")

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else self.words.index(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else self.words[value]


class Document(sa.types.TypeDecorator[Any]):
    """A document in an envelope."""

    impl = pg.JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return {"it's": value}

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return value["it's"]


@host
def decorated_types() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        level: Mapped[str] = mapped_column(Level)
        document: Mapped[Any] = mapped_column(Document)
        __recovery__ = recovery.Watch(
            open=level == "running",
            close={
                "level": sa.literal("failed", Level),
                "document": sa.literal([1], Document),
            },
        )

    return Host(
        Job.metadata,
        lambda: Job(level="running", document=0),
        lambda: Job(level="done", document=0),
        lambda job: job.level == "failed" and job.document == [1],
        "public.job",
        options={"open": "r.level = 1"},
    )


@host
def a_flag() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        busy: Mapped[bool] = mapped_column()
        failed: Mapped[bool] = mapped_column(default=False)
        __recovery__ = recovery.Watch(
            open=lambda m: m.busy & ~m.failed, close={"busy": False, "failed": True}
        )

    return Host(
        Job.metadata,
        lambda: Job(busy=True),
        lambda: Job(busy=False),
        lambda job: (job.busy, job.failed) == (False, True),
        "public.job",
        options={"open": "r.busy AND NOT r.failed"},
    )


@host
def subqueries() -> Host:
    Base = base()

    class Job(Base):  # type: ignore[misc, valid-type]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str]
        steps: Mapped[list[Step]] = relationship(back_populates="job")
        __recovery__ = recovery.Watch(
            open=lambda m: m.status == "running",
            only=lambda m: (
                sa.exists(sa.select(Step.id).where(Step.job_id == m.id, Step.status == "running"))
                & m.steps.any(Step.id > 0)
            ),
            close=lambda m: {
                m.status: sa.literal("failed at ")
                + sa.select(sa.cast(sa.func.count(), sa.Text))
                .where(Step.job_id == m.id)
                .scalar_subquery()
            },
        )

    class Step(Base):  # type: ignore[misc, valid-type]
        __tablename__ = "step"
        id: Mapped[int] = mapped_column(primary_key=True)
        job_id: Mapped[int] = mapped_column(sa.ForeignKey(Job.id))
        status: Mapped[str] = mapped_column(default="running")
        job: Mapped[Job] = relationship(back_populates="steps")

    Job.__annotations__["steps"] = Mapped[list[Step]]
    return Host(
        Job.metadata,
        lambda: Job(status="running", steps=[Step(), Step()]),
        lambda: Job(status="done", steps=[Step()]),
        lambda job: job.status == "failed at 2",
        "public.job",
    )


class Jobs:
    """A mixin that brings the columns and the watch."""

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column("Status")
    error: Mapped[str | None] = mapped_column()
    __recovery__ = recovery.Watch(
        open=status == "running",
        close={status: sa.literal("failed"), "error": recovery.c.message},
    )


@host
def a_mixin() -> Host:
    class Job(Jobs, base()):  # type: ignore[misc]
        __tablename__ = "job"

    return Host(
        Job.metadata,
        lambda: Job(status="running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed" and bool(job.error),
        "public.job",
        options={"open": "r.\"Status\" = 'running'"},
    )


@host
def an_abstract_base() -> Host:
    class Work(base()):  # type: ignore[misc]
        __abstract__ = True
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str] = mapped_column()

        @declared_attr.directive
        def __recovery__(cls) -> recovery.Watch:
            return recovery.Watch(
                open=lambda m: m.status == "running",
                close={"status": sa.literal("failed")},
                topic=f"{cls.__name__}.closed",
            )

    class Job(Work):
        __tablename__ = "job"

    return Host(
        Job.metadata,
        lambda: Job(status="running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed",
        "public.job",
        options={"topic": "Job.closed"},
    )


@host
def a_dataclass() -> Host:
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class Job(Base, kw_only=True):
        __tablename__ = "job"
        id: Mapped[Id] = mapped_column(init=False)
        status: Mapped[str] = mapped_column(default="queued")
        __recovery__ = recovery.Watch(
            open=status == "running", close={"status": sa.literal("failed")}
        )

    return Host(
        Job.metadata,
        lambda: Job(status="running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed",
        "public.job",
    )


@host
def imperative() -> Host:
    mappers = registry()
    table = sa.Table(
        "job",
        mappers.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text, key="condition"),
        info={
            "recovery": recovery.Watch(
                open=lambda t: t.c.condition == "running", close={"status": sa.literal("failed")}
            )
        },
    )

    class Job:
        condition: str

    mappers.map_imperatively(Job, table)

    def row(condition: str) -> Job:
        job = Job()
        job.condition = condition
        return job

    return Host(
        mappers.metadata,
        lambda: row("running"),
        lambda: row("done"),
        lambda job: job.condition == "failed",
        "public.job",
    )


@host
def imperative_with_an_attribute() -> Host:
    mappers = registry()
    table = sa.Table(
        "job",
        mappers.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text),
    )

    class Job:
        status: str
        __recovery__ = recovery.Watch(
            open=table.c.status == "running", close={table.c.status: sa.literal("failed")}
        )

    mappers.map_imperatively(Job, table)

    def row(status: str) -> Job:
        job = Job()
        job.status = status
        return job

    return Host(
        mappers.metadata,
        lambda: row("running"),
        lambda: row("done"),
        lambda job: job.status == "failed",
        "public.job",
    )


@host
def single_table_inheritance() -> Host:
    class Work(base()):  # type: ignore[misc]
        __tablename__ = "work"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        status: Mapped[str]
        __mapper_args__ = {  # noqa: RUF012
            "polymorphic_on": "kind",
            "polymorphic_identity": "work",
        }

    class Export(Work):
        path: Mapped[str | None]
        __mapper_args__ = {"polymorphic_identity": "export"}  # noqa: RUF012
        __recovery__ = recovery.Watch(
            open=lambda m: (m.status == "running") | m.path.is_(None),
            close={"status": sa.literal("failed"), "path": sa.literal("-")},
        )

    class BigExport(Export):
        __mapper_args__ = {"polymorphic_identity": "big"}  # noqa: RUF012

    return Host(
        Work.metadata,
        lambda: (BigExport if next(numbers) % 2 else Export)(status="running"),
        # Of another kind: its rows are none of the watch's.
        lambda: Work(status="running"),
        lambda work: work.status == "failed" and work.path == "-",
        "public.work",
        options={
            "open": "(r.status = 'running' OR r.path IS NULL) AND r.kind IN ('export', 'big')"
        },
    )


@host
def joined_inheritance_parent() -> Host:
    class Work(base()):  # type: ignore[misc]
        __tablename__ = "work"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        status: Mapped[str] = mapped_column()
        __mapper_args__ = {  # noqa: RUF012
            "polymorphic_on": "kind",
            "polymorphic_identity": "work",
        }
        __recovery__ = recovery.Watch(
            open=status == "running", close={"status": sa.literal("failed")}
        )

    class Export(Work):
        __tablename__ = "export"
        id: Mapped[int] = mapped_column(sa.ForeignKey(Work.id), primary_key=True)
        path: Mapped[str] = mapped_column(default="x")
        __mapper_args__ = {"polymorphic_identity": "export"}  # noqa: RUF012

    return Host(
        Work.metadata,
        lambda: (Export if next(numbers) % 2 else Work)(status="running"),
        lambda: Export(status="done"),
        lambda work: work.status == "failed",
        "public.work",
    )


@host
def joined_inheritance_child() -> Host:
    class Work(base()):  # type: ignore[misc]
        __tablename__ = "work"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__ = {  # noqa: RUF012
            "polymorphic_on": "kind",
            "polymorphic_identity": "work",
        }

    class Export(Work):
        __tablename__ = "export"
        id: Mapped[int] = mapped_column(sa.ForeignKey(Work.id), primary_key=True)
        status: Mapped[str] = mapped_column()
        __mapper_args__ = {"polymorphic_identity": "export"}  # noqa: RUF012
        __recovery__ = recovery.Watch(
            open=lambda m: (m.status == "running") & (m.id > 0),
            close={"status": sa.literal("failed")},
        )

    return Host(
        Work.metadata,
        lambda: Export(status="running"),
        lambda: Export(status="done"),
        lambda work: work.status == "failed",
        "public.export",
    )


@host
def concrete_inheritance() -> Host:
    class Work(base()):  # type: ignore[misc]
        __abstract__ = True
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str] = mapped_column()
        __recovery__ = recovery.Watch(
            open=status == "running", close={"status": sa.literal("failed")}
        )

    class Import(Work):
        __tablename__ = "import"

    class Export(Work):
        __tablename__ = "export"

    assert [one.name for one in recovery.watches(Work)] == ["public.export", "public.import"]
    return Host(
        Work.metadata,
        lambda: Export(status="running"),
        lambda: Import(status="done"),
        lambda work: work.status == "failed",
        "public.export",
    )


@host
def the_model_maps_the_owner() -> Host:
    class Job(base()):  # type: ignore[misc]
        __tablename__ = "job"
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str] = mapped_column()
        server_epoch: Mapped[int | None] = mapped_column(sa.BigInteger)
        __recovery__ = recovery.Watch(
            open=status == "running", close={"status": sa.literal("failed")}
        )

    assert isinstance(Job.__table__.c.server_epoch, sa.Column)
    return Host(
        Job.metadata,
        lambda: Job(status="running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed",
        "public.job",
    )


@host
def sqlmodel() -> Host:
    import pytest

    models = pytest.importorskip("sqlmodel")
    mappers = registry()

    class Base(models.SQLModel, registry=mappers):  # type: ignore[misc, name-defined]
        pass

    class Job(Base, table=True):  # type: ignore[call-arg]
        __tablename__ = "job"
        id: int | None = models.Field(default=None, primary_key=True)
        status: str
        error: str | None = None
        __recovery__ = recovery.Watch(
            open=lambda m: m.status == "running",
            close=lambda m: {m.status: sa.literal("failed"), m.error: recovery.c.message},
        )

    return Host(
        mappers.metadata,
        lambda: Job(status="running"),
        lambda: Job(status="done"),
        lambda job: job.status == "failed" and bool(job.error),
        "public.job",
    )


__all__ = ["HOSTS", "Host", "MappedColumn"]
