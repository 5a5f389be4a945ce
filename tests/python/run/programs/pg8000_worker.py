"""Takes a job, and works on it until it is killed. Knows nothing of recovery."""

import os
import time
from urllib.parse import parse_qs, urlsplit

import pg8000.native

url = urlsplit(os.environ["APP_DSN"])
query = {key: values[0] for key, values in parse_qs(url.query).items()}
if "host" in query:
    where = {"unix_sock": f"{query['host']}/.s.PGSQL.{query['port']}"}
else:
    where = {"host": url.hostname, "port": url.port}
conn = pg8000.native.Connection(url.username, database=url.path[1:], **where)
print(conn.run("insert into job (status) values ('running') returning id")[0][0], flush=True)
time.sleep(600)
