"""The table of examples/worker.py and its watch: what a migration of yours would do.

    recovery migrate upgrade          # once, as a DBA
    python examples/job_table.py      # as the table's owner

The database is RECOVERY_DSN, or libpq's PGHOST, PGDATABASE, …. An owner who is no DBA is told by
the error what a DBA has to run once for it: select recovery.permit('…').
"""

import os

import sqlalchemy as sa

import recovery

engine = sa.create_engine(
    os.environ.get("RECOVERY_DSN", "postgresql://").replace(
        "postgresql://", "postgresql+psycopg://", 1
    )
)

with engine.begin() as conn:
    conn.exec_driver_sql(
        """
        create table if not exists job (
            id          bigint generated always as identity primary key,
            title       text not null,
            status      text not null default 'queued',
            error       text,
            finished_at timestamptz
        )
        """
    )
    conn.exec_driver_sql("grant select, insert, update on job to recovery_server")
    # The watch: what is in flight, and how to close what a dead server left. Repeating it does nothing.
    recovery.attach(
        conn,
        "job",
        open="status = 'running'",
        close={"status": "'failed'", "error": "c.message", "finished_at": "c.at"},
    )
