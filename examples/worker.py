"""A worker that says in its table what it is doing, and may die at any moment.

    recovery migrate upgrade          # once, as the database's owner
    python examples/worker.py         # kill -9 it, and start it again

The database is RECOVERY_DSN, or libpq's PGHOST, PGDATABASE, …
"""

import os
import time

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
    # The watch: what is in flight, and how to close what a dead server left. Repeating it does nothing.
    recovery.attach(
        conn,
        "job",
        open="status = 'running'",
        close={"status": "'failed'", "error": "c.message", "finished_at": "c.at"},
    )

with recovery.serve(engine, name="worker-1", signals=True) as server:
    print(f"epoch {server.epoch}, closed at boot: {server.report.closed or 'nothing'}", flush=True)
    for number in range(1, 1000):
        with engine.begin() as conn:
            job = conn.scalar(
                sa.text("insert into job (title, status) values (:title, 'running') returning id"),
                {"title": f"job {number}"},
            )
        print(f"job {job} runs", flush=True)
        time.sleep(5)
        with engine.begin() as conn:
            conn.execute(
                sa.text("update job set status = 'done', finished_at = now() where id = :id"),
                {"id": job},
            )
