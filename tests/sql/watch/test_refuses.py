"""recovery.attach refuses what can't work: RC006 and a message that names it; nothing stays."""

from __future__ import annotations

from typing import Any

import pytest

from sql.jobs import Connection, attach, fingerprint, refused, value


def test_a_missing_table_is_named(app: Connection) -> None:
    with refused("42P01", "app.nope"):
        attach(app, "app.nope")
    with refused("RC006", "does not exist"):
        app.execute("select recovery.attach(4294967295::oid::regclass, 'true', '{\"a\": \"1\"}')")


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("create view app.bad as select * from app.job", "view"),
        ("create materialized view app.bad as select * from app.job", "materialized view"),
        ("create sequence app.bad", "sequence"),
        ("create index bad on app.job (status)", "index"),
        ("create table app.bad (id int, status text, error text)", "no primary key"),
        (
            "create table app.bad (id int primary key, status text, error text, server_epoch int)",
            "server_epoch.*not bigint",
        ),
    ],
)
def test_a_relation_that_cannot_be_watched(app: Connection, definition: str, says: str) -> None:
    app.execute(definition)  # type: ignore
    with refused("RC006", says):
        attach(app, "app.bad")


def test_a_foreign_table(app: Connection) -> None:
    app.execute(
        "create foreign data wrapper w; create server s foreign data wrapper w;"
        " create foreign table app.bad (id int, status text, error text) server s"
    )
    with refused("RC006", "foreign table"):
        attach(app, "app.bad")


def test_a_temporary_table(app: Connection) -> None:
    app.execute("create temporary table bad (id int primary key, status text, error text)")
    with refused("RC006", "temporary"):
        attach(app, "bad")


def test_a_single_partition(app: Connection) -> None:
    app.execute(
        "create table app.parted (id int primary key, status text, error text)"
        " partition by range (id);"
        " create table app.part1 partition of app.parted for values from (0) to (10)"
    )
    with refused("RC006", "partition"):
        attach(app, "app.part1")


def test_a_table_of_recovery_itself(app: Connection) -> None:
    with refused("RC006", "schema recovery"):
        attach(app, "recovery.server", open="ended is null", close='{"reason": "c.reason"}')


def test_a_server_epoch_that_may_not_be_null(app: Connection) -> None:
    app.execute("alter table app.job add server_epoch bigint not null default 1")
    with refused("RC006", "server_epoch of app.job is not null"):
        attach(app)


def test_a_generated_server_epoch(app: Connection) -> None:
    app.execute("alter table app.job add server_epoch bigint generated always as (id * 2) stored")
    with refused("RC006", "server_epoch"):
        attach(app)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"open": "stat = 'running'"}, "open expression.*stat"),
        ({"open": "status ="}, "open expression.*syntax error"),
        ({"open": ""}, "no open expression"),
        ({"open": None}, "no open expression"),
        ({"open": "id"}, "open expression"),
        ({"open": "status = 'running' and id < random()"}, "immutable"),
        ({"open": "count(*) > 0"}, "aggregate"),
        ({"open": "exists (select from app.job)"}, "subquery"),
        ({"close": "{}"}, "close expressions"),
        ({"close": None}, "close expressions"),
        ({"close": "[1]"}, "close expressions"),
        ({"close": '{"nope": "1"}'}, '"nope".*does not exist'),
        ({"close": '{"status": null}'}, "status.*no expression"),
        ({"close": '{"status": "1 +"}'}, "close status.*syntax error"),
        ({"close": '{"status": "c.nope"}'}, "close status.*nope"),
        ({"close": '{"status": "max(r.error)"}'}, "aggregate"),
        ({"close": '{"id": "1"}'}, '"id".*cannot be set'),
        ({"close": '{"server_epoch": "1"}'}, '"server_epoch".*cannot be set'),
        ({"group": "nope"}, "group expression.*nope"),
        ({"group": "id", "order": "nope"}, "order expression.*nope"),
        ({"only": "nope"}, "only expression.*nope"),
        ({"image": "nope"}, "image expression.*nope"),
        ({"started": "nope"}, "started expression.*nope"),
        ({"started": "max(now())", "unowned": "1 hour"}, "aggregate"),
        ({"unowned": "1 hour"}, "p_started"),
        ({"events": "some"}, '"some"'),
        ({"name": " "}, "watch name"),
        ({"name": "x" * 201}, "watch name"),
        ({"parent": "id"}, "parent.*no group"),
    ],
)
def test_an_argument_that_cannot_work(app: Connection, options: dict[str, Any], says: str) -> None:
    before = fingerprint(app, "app.job")
    with refused("RC006", says):
        attach(app, **options)
    assert fingerprint(app, "app.job") == before
    assert (
        value(app, "select count(*) from recovery.watch where relation = 'app.job'::regclass") == 0
    )


def test_a_generated_column_cannot_be_set_by_a_closing(app: Connection) -> None:
    app.execute("alter table app.job add twice bigint generated always as (id * 2) stored")
    with refused("RC006", '"twice".*cannot be set'):
        attach(app, close='{"twice": "1"}')


def test_a_family_with_groups_of_another_type(app: Connection) -> None:
    app.execute("create table app.step (id int primary key, status text, error text, job text)")
    attach(app, family="work", group="id")
    with refused("RC006", "text.*bigint"):
        attach(app, "app.step", family="work", group="job")


def test_a_family_without_groups_has_one_table(app: Connection) -> None:
    app.execute("create table app.step (id int primary key, status text, error text)")
    attach(app, family="work")
    with refused("RC006", "family"):
        attach(app, "app.step", family="work")


def test_an_expression_that_recovery_owner_may_not_evaluate(app: Connection) -> None:
    app.execute("create table app.secret (id bigint)")
    with refused("42501", "secret"):
        attach(app, only="r.id in (select s.id from app.secret as s)")


def test_p01_row_security_that_would_hide_orphans(app: Connection) -> None:
    app.execute("alter table app.job enable row level security")
    with refused("RC006", "row.level security|row security"):
        attach(app)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ('{"cancel": "both"}', "cancel 'both' of app.job is not known"),
        ('{"cancel": "group"}', "app.job has no group to cancel"),
        ('{"cancel": "row", "child": "1"}', "app.job has no groups"),
        ('{"cancel": "row"}', "needs to know when work of app.job started"),
    ],
)
def test_what_supervise_refuses_cannot_be_written_either(
    jobs: Connection, given: str, says: str
) -> None:
    with refused("RC006", says):
        jobs.execute("update recovery.watch set supervised = %s where name = 'app.job'", (given,))
