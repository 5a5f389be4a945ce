"""An ORM that maps server_epoch sends NULL for it: the work is its writer's all the same."""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sql.jobs import TABLE, attach, boot, kinds, write_as


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "job"
    __table_args__ = ({"schema": "app"},)

    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    status: Mapped[str]
    note: Mapped[str | None]
    server_epoch: Mapped[int | None] = mapped_column(sa.BigInteger)


def test_a_mapped_column_needs_no_default(conn: psycopg.Connection[Any], engine: sa.Engine) -> None:
    conn.execute(TABLE)
    attach(conn)
    epoch = boot(conn).epoch

    @sa.event.listens_for(engine, "begin")
    def bind(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"set local recovery.server_epoch = '{epoch}'")

    def owners() -> dict[int, int | None]:
        return dict(conn.execute("select id, server_epoch from app.job").fetchall())

    with Session(engine, expire_on_commit=False) as session:
        queued, running = Job(status="queued"), Job(status="running", server_epoch=None)
        session.add_all([queued, running])
        session.commit()
        assert owners() == {queued.id: None, running.id: epoch}
        queued.status = "running"
        queued.server_epoch = sa.null()  # type: ignore  # all columns, as some ORMs do
        session.commit()
        assert owners() == {queued.id: epoch, running.id: epoch}
        for status in "running", "done":
            running.status, running.note = status, f"more, {status}"
            running.server_epoch = sa.null()  # type: ignore
            session.commit()
            assert owners()[running.id] == epoch
    write_as(conn, None)
    assert [kind for kind, _ in kinds(conn)] == ["opened", "reopened", "closed"]
