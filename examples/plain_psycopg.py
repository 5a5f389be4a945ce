"""A script with psycopg and nothing else around it, which may die in the middle of its work.

    recovery migrate upgrade            # once, as a DBA
    python examples/plain_psycopg.py    # kill -9 it, and start it again

The database is RECOVERY_DSN, or libpq's PGHOST, PGDATABASE, …; the login owns the table, is
permitted to (recovery.permit) and is a member of recovery_server.
"""

import os
import time

import psycopg

import recovery

DSN = os.environ.get("RECOVERY_DSN", "")

with psycopg.connect(DSN, autocommit=True) as conn:
    conn.execute(
        "create table if not exists import_job ("
        " id bigint generated always as identity primary key, file text, state text, why text)"
    )
    recovery.attach(
        conn,
        "import_job",
        open="state = 'running'",
        close={"state": "'failed'", "why": "c.message"},
    )

with recovery.serve(DSN or None, name="importer", signals=True) as server:
    print(f"closed at boot: {server.report.closed or 'nothing'}", flush=True)
    # Who writes says so: its epoch, once for each connection.
    with psycopg.connect(
        DSN, autocommit=True, options=f"-c recovery.server_epoch={server.epoch}"
    ) as conn:
        for number in range(1, 1000):
            job = conn.execute(
                "insert into import_job (file, state) values (%s, 'running') returning id",
                (f"{number}.csv",),
            ).fetchone()
            print(f"{number}.csv runs", flush=True)
            time.sleep(float(os.environ.get("IMPORT_SECONDS", "5")))
            conn.execute("update import_job set state = 'done' where id = %s", job)
