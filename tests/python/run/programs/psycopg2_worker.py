"""Takes a job, and works on it until it is killed. Knows nothing of recovery."""

import os
import time

from psycopg2 import connect

conn = connect(os.environ["APP_DSN"])
with conn, conn.cursor() as cursor:
    cursor.execute("insert into job (status) values ('running') returning id")
    (number,) = cursor.fetchone()
print(number, flush=True)
time.sleep(600)
