"""Groups of any type that has an order close, in batches smaller than their number."""

from __future__ import annotations

import pytest

from sql.jobs import Connection, add, attach, boot, value

TYPES = {
    "integer": "id % 3",
    "text": "(id % 3)::text",
    "uuid": "('00000000-0000-0000-0000-00000000000' || id % 3)::uuid",
    "boolean": "id % 2 = 0",
    "date": "'2024-01-01'::date + (id % 3)::integer",
    "bytea": "int8send(id % 3)",
    "inet": "'10.0.0.0'::inet + id % 3",
}


@pytest.mark.parametrize("type_", TYPES)
def test_p01_groups_of_any_type_with_an_order(app: Connection, type_: str) -> None:
    app.execute(f"alter table app.job add column part {type_}")
    attach(app, group="part")
    epoch = boot(app).epoch
    add(app, epoch, 9)
    app.execute(f"update app.job set part = {TYPES[type_]} where id <= 7")
    assert boot(app, batch=2).closed == {"app.job": 9}
    assert value(app, "select count(*) from app.job where status = 'running'") == 0
