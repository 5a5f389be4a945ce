"""Takes a job, and works on it until it is killed. Knows nothing of recovery."""

import os
import time

import psycopg

with psycopg.connect(os.environ["APP_DSN"], autocommit=True) as conn:
    row = conn.execute("insert into job (status) values ('running') returning id").fetchone()
    print(row[0], flush=True)
    time.sleep(600)
