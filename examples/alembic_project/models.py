"""The application's own models. What recovery needs of them: `__recovery__`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import recovery


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "job"

    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    status: Mapped[str] = mapped_column(sa.Text, index=True, server_default="queued")
    error: Mapped[str | None] = mapped_column(sa.Text)

    __recovery__ = recovery.Watch(
        open=lambda job: job.status == "running",
        close={"status": "'failed'", "error": "c.message"},
    )
