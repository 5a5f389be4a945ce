"""The closing ``c``, as columns of SQLAlchemy."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

__all__ = ["Closing", "c"]


class Closing:
    """The closing that an expression of ``close`` or ``requeue`` sees, as columns.

    ``recovery.c.message`` in a declaration is what ``c.message`` is in SQL text.
    """

    #: One row, beside the row ``r``.
    table: sa.TableClause = sa.table(
        "c",
        sa.column("reason", sa.Text()),
        sa.column("message", sa.Text()),
        sa.column("detector", sa.Text()),
        sa.column("at", sa.DateTime(timezone=True)),
        sa.column("ms", sa.BigInteger()),
        sa.column("epoch", sa.BigInteger()),
    )

    #: Why: ``superseded``, ``lease_expired``, …
    reason: sa.ColumnElement[str] = table.c.reason
    #: The reason in words.
    message: sa.ColumnElement[str] = table.c.message
    #: Who closes it: ``boot:<epoch>``, ``sweep:<label>``, …
    detector: sa.ColumnElement[str] = table.c.detector
    #: When, as timestamptz.
    at: sa.ColumnElement[datetime] = table.c.at
    #: When, in milliseconds since 1970.
    ms: sa.ColumnElement[int] = table.c.ms
    #: The epoch that owned the row.
    epoch: sa.ColumnElement[int] = table.c.epoch


c = Closing()
