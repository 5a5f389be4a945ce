"""The watchdog beside writers, owners and other sweepers; every interleaving is forced by locks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers import wait_for_lock
from sql.jobs import Connection, add, boot, in_background, kinds, refused, sweep, value, write_as
from sql.watchdog.clock import advance, asked, configure, later, reasons

Connect = Callable[..., Connection]


@pytest.fixture
def stuck(work: Connection) -> str:
    """A job whose owner was asked to stop it, and whose time for that is over."""
    (id_,) = add(work, boot(work).epoch)
    assert later(work, "11 min")["asked"] == 1
    advance(work, "11 s")
    return str(id_)


def test_a_result_that_is_just_committing_wins(
    work: Connection, stuck: str, connect: Connect
) -> None:
    owner, sweeper = connect(), connect()
    write_as(owner, value(work, "select server_epoch from app.job"))
    with owner.transaction():
        owner.execute("update app.job set status = 'done'")
        waiting = in_background(sweep, sweeper)
        wait_for_lock(work, sweeper.info.backend_pid)
    assert waiting.result(10)["closed"] == {}
    assert value(work, "select status from app.job") == "done"
    assert value(work, "select server_epoch > 0 from app.job")
    assert value(work, "select count(*) from recovery.cancellation") == 0


def test_a_closing_that_is_just_committing_wins(
    work: Connection, stuck: str, connect: Connect
) -> None:
    owner = connect()
    write_as(owner, value(work, "select server_epoch from app.job"))
    with work.transaction():
        assert value(
            work, "select o_closed from recovery._close_overdue_unit('sweep:test', '2 s')"
        ) == {"app.job": 1}
        late = in_background(owner.execute, "update app.job set status = 'done'")
        wait_for_lock(connect(), owner.info.backend_pid)
    with refused("RC013"):
        late.result(10)
    assert reasons(work) == {stuck: "tool_timeout"}


def test_two_sweepers_close_a_unit_once(work: Connection, stuck: str, connect: Connect) -> None:
    holder, first, second = connect(), connect(), connect()
    with holder.transaction():
        holder.execute("select from app.job for update")
        one = in_background(sweep, first, label="one")
        wait_for_lock(work, first.info.backend_pid)
        # The other skips the request that the first one works on.
        assert sweep(second, label="two")["closed"] == {}
    assert one.result(10)["closed"] == {"app.job": 1}
    assert [kind for kind, _ in kinds(work)].count("closed") == 1


def test_two_sweepers_ask_once(work: Connection, connect: Connect) -> None:
    (id_,) = add(work, boot(work).epoch)
    advance(work, "11 min")
    other = connect()
    with work.transaction():
        assert value(work, "select recovery._ask_owners('sweep:one')") == 1
        second = in_background(value, other, "select recovery._ask_owners('sweep:two')")
        wait_for_lock(connect(), other.info.backend_pid)
    assert second.result(10) == 0
    assert set(asked(work)) == {str(id_)}
    assert [kind for kind, _ in kinds(work)].count("cancel") == 1


def test_an_acknowledgement_beside_the_deadline(
    work: Connection, stuck: str, connect: Connect
) -> None:
    server, token, number = work.execute(
        "select s.epoch, s.token, c.id from recovery.server as s join recovery.cancellation as c on c.server_epoch = s.epoch"
    ).fetchone() or (0, 0, 0)
    owner = connect()
    with work.transaction():
        work.execute("select recovery._close_overdue_unit('sweep:test', '2 s')")
        late = in_background(
            value,
            owner,
            "select recovery.acknowledge_cancellation(%s, %s, %s)",
            number,
            server,
            token,
        )
        wait_for_lock(connect(), owner.info.backend_pid)
    assert late.result(10) == {}
    assert reasons(work) == {stuck: "tool_timeout"}


def test_a_row_that_somebody_holds_is_asked_for_again(
    work: Connection, stuck: str, connect: Connect
) -> None:
    """The sweep does not hang on it (P6), and does not forget it either."""
    configure(work, "cancel_grace", "0 s")
    holder = connect()
    with holder.transaction():
        holder.execute("select from app.job for update")
        assert sweep(work, lock_wait="100 ms")["closed"] == {}
    assert later(work, "6 s")["closed"] == {"app.job": 1}
    assert reasons(work) == {stuck: "tool_timeout"}
    assert [kind for kind, _ in kinds(work)].count("cancel") == 1


def test_an_operator_closes_all_or_nothing(work: Connection, connect: Connect) -> None:
    (id_,) = add(work, boot(work).epoch)
    holder = connect()
    with holder.transaction():
        holder.execute("select from app.job for update")
        with refused("55P03", f"nothing was closed: {id_} of app.job"):
            work.execute("select recovery.close(%s)", (str(id_),))
    assert "cancel" not in [kind for kind, _ in kinds(work)]
