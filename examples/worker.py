"""A worker that says in its table what it is doing, and may die at any moment.

    python examples/job_table.py      # once, see there
    python examples/worker.py         # kill -9 it, and start it again

The database is RECOVERY_DSN, or libpq's PGHOST, PGDATABASE, …; the login is a member of
recovery_server and may write the table, nothing else.
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
