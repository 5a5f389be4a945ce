"""What is declared is found from each place where a host keeps it, in one order."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import recovery


class Base(DeclarativeBase):
    pass


class Part(Base):
    __tablename__ = "part"
    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int]
    status: Mapped[str] = mapped_column()
    tool: Mapped[str | None]
    __recovery__ = recovery.Watch(
        open=status == "running",
        close={"status": sa.literal("failed")},
        family="agent",
        group=lambda m: m.session_id,
        position=20,
        kind=lambda m: m.tool,
        cancel="group",
    )


class Message(Base):
    __tablename__ = "message"
    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[int]
    done: Mapped[bool] = mapped_column()
    __recovery__ = recovery.Watch(
        open=~done,
        close={"done": True},
        family="agent",
        group=lambda m: m.session_id,
        position=10,
    )


class Session(Base):
    __tablename__ = "session"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None]
    busy: Mapped[bool] = mapped_column()
    __recovery__ = recovery.Watch(
        open=lambda m: m.busy,
        close={"busy": False},
        family="agent",
        group=lambda m: m.id,
        parent=lambda m: m.parent_id,
        position=30,
        idle_topics=["idle"],
    )


class Plain(Base):
    __tablename__ = "aaa"
    id: Mapped[int] = mapped_column(primary_key=True)


AUDIT = sa.Table(
    "Audit",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    schema="log",
    info={"recovery": recovery.Watch(open="id > 0", close={"id": "0"}, events="closed")},
)


def test_every_source() -> None:
    names = ["public.session", "public.message", "public.part", "log.Audit"]
    for source in (Base, Base.metadata, Base.registry, [AUDIT, Part, Session, Message]):
        assert [one.name for one in recovery.watches(source)] == names, source
    assert [one.name for one in recovery.watches([Base, Base.metadata])] == names
    assert [one.name for one in recovery.watches(Part)] == ["public.part"]
    assert recovery.watches(Plain) == recovery.watches(Plain.__table__) == []
    assert recovery.watches(sa.MetaData()) == []


def test_what_is_declared() -> None:
    found = {one.name: one for one in recovery.watches(Base.metadata)}
    part = found["public.part"]
    assert (part.table, part.model, part.watch) == (Part.__table__, Part, Part.__recovery__)
    assert part.relation == "part"
    assert part.options == {
        "open": "r.status = 'running'",
        "close": {"status": "'failed'"},
        "group": "r.session_id",
        "family": "agent",
        "position": 20,
    }
    assert part.supervision == {"kind": "r.tool", "cancel": "group"}
    audit = found["log.Audit"]
    assert (audit.table, audit.model, audit.relation) == (AUDIT, None, 'log."Audit"')
    assert audit.options == {"open": "id > 0", "close": {"id": "0"}, "events": "closed"}
    assert audit.supervision is None
    assert hash(audit) != hash(part)


def test_schemas_are_translated() -> None:
    watch = recovery.Watch(open=lambda t: sa.exists().where(Plain.id == t.c.id), close={"id": "0"})
    assert "FROM public.aaa WHERE public.aaa.id = r.id" in watch.compile(AUDIT)["open"]
    moved = watch.compile(AUDIT, schemas={None: "Tenant 1", "log": "other"})
    assert 'FROM "Tenant 1".aaa WHERE "Tenant 1".aaa.id = r.id' in moved["open"]
    found = {
        one.name: one.relation
        for one in recovery.watches(Base, schemas={None: "Tenant 1", "log": None})
    }
    assert found["Tenant 1.part"] == '"Tenant 1".part'
    assert found["public.Audit"] == '"Audit"'


def test_a_watch_says_what_it_is() -> None:
    watch = recovery.Watch(open="true", close={"id": "0"}, position=5)
    assert repr(watch) == "recovery.Watch(open='true', close={'id': '0'}, position=5)"
    assert watch != recovery.Watch(open="true", close={"id": "0"}, position=5)
    assert {watch: 1}[watch] == 1
