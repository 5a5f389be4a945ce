"""A host's models, read by mypy (test_types.py): all that is marked is wrong, nothing else is."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import recovery


class Base(DeclarativeBase):
    pass


class Status(enum.Enum):
    RUNNING = "running"
    FAILED = "failed"


class Job(Base):
    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[Status] = mapped_column()
    data: Mapped[dict[str, object]] = mapped_column(JSONB)
    error: Mapped[str | None] = mapped_column()
    session: Mapped[str] = mapped_column()
    tries: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))

    @hybrid_property
    def runs(self) -> bool:
        return self.status == Status.RUNNING

    __recovery__ = recovery.Watch(
        open=(status == Status.RUNNING) & (data["x"].is_not(None)),
        close={
            status: Status.FAILED,
            "error": recovery.c.message + "!",
            "finished_at": recovery.c.at,
            error: None,
        },
        group=session,
        order=[session, id],
        started=started_at,
        launch_grace=timedelta(seconds=5),
        requeue=lambda m: {m.status: "'queued'"},
        attempts=tries,
        only=lambda m: m.tries > 0,
        kind="r.data ->> 'tool'",
        hold=status.in_([Status.FAILED]),
        image=sa.func.jsonb_build_object("status", status),
        cancel="group",
    )


recovery.Watch(open=Job.runs, close={Job.status: sa.literal("failed")})
recovery.Watch(open=Job.status == Status.RUNNING, close={"status": Status.FAILED}, unowned="1 day")
recovery.Watch(open=sa.text("true"), close={"status": "'failed'"}, group=Job.__table__.c.session)
recovery.Watch(close={"status": "'failed'"})  # wrong: [call-arg]
recovery.Watch(open="true")  # wrong: [call-arg]
recovery.Watch("true", {"status": "'failed'"})  # wrong: [call-arg]
recovery.Watch(open=5, close={"status": "'failed'"})  # wrong: [arg-type]
recovery.Watch(open="true", close=["status"])  # wrong: [arg-type]
recovery.Watch(open="true", close={"a": "b"}, events="none")  # wrong: [arg-type]
recovery.Watch(open="true", close={"a": "b"}, cancel="session")  # wrong: [arg-type]
recovery.Watch(open="true", close={"a": "b"}, gruop="r.id")  # wrong: [call-arg]
recovery.Watch(open="true", close={"a": "b"}, launch_grace=5)  # wrong: [arg-type]
print(recovery.c.mesage)  # wrong: [attr-defined]
message: sa.ColumnElement[str] = recovery.c.message


def put_in_place(engine: sa.Engine, conn: sa.Connection) -> None:
    changes = recovery.sync(engine, Base.metadata, dry_run=True, detach=True, concurrently=True)
    print([(one.action, one.name, one.relation, one.why) for one in changes])
    recovery.sync(conn, [Base, Job.metadata])
    recovery.sync(conn, Job.registry)
    recovery.sync("postgresql://", Base)  # wrong: [arg-type]
    recovery.sync(engine, Base, dry=True)  # wrong: [call-arg]
    for one in recovery.watches(Base, schemas={None: "app"}):
        print(one.options["open"], one.table.name, one.supervision)
    recovery.watches(5)  # wrong: [arg-type]


async def put_in_place_async(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        changes = await conn.run_sync(recovery.sync, Base.metadata)
        print(changes[0].action)
