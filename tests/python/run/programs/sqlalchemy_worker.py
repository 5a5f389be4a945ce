"""Takes a job, and works on it until it is killed. Knows nothing of recovery."""

import os
import time

import sqlalchemy as sa

url = sa.make_url(os.environ["APP_DSN"]).set(drivername=os.environ["APP_DRIVER"])
engine = sa.create_engine(url)
with engine.begin() as conn:
    assert conn.scalar(sa.text("select 1")) == 1
with engine.begin() as conn:
    number = conn.scalar(sa.text("insert into job (status) values ('running') returning id"))
print(number, flush=True)
time.sleep(600)
