"""Watching a table: the registration that everything else works from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

from recovery import calls
from recovery.steps import LOCK_TIMEOUT, PATIENCE, Progress, acheck, atake, check, take
from recovery.types import Scope, Unchanged

__all__ = [
    "aalter",
    "aattach",
    "adetach",
    "alter",
    "apermit",
    "asupervise",
    "attach",
    "aunsupervise",
    "detach",
    "permit",
    "supervise",
    "unsupervise",
]

_UNCHANGED = Unchanged.UNCHANGED


def attach(
    conn: calls.Connection,
    table: str,
    *,
    # the row
    open: str,
    close: Mapping[str, str],
    name: str | None = None,
    # its group
    group: str | None = None,
    family: str | None = None,
    parent: str | None = None,
    position: int = 100,
    order: str | None = None,
    # its events
    events: Literal["all", "closed"] = "all",
    image: str | None = None,
    topic: str | None = None,
    failed_topics: Sequence[str] | None = None,
    idle_topics: Sequence[str] | None = None,
    # its time
    started: str | None = None,
    launch_grace: str | timedelta | None = None,
    unowned: str | timedelta | None = None,
    only: str | None = None,
    # its owner, where another session writes the row
    owner: str | None = None,
    alive: str | None = None,
    alive_lease: str | timedelta | None = None,
    # another try
    requeue: Mapping[str, str] | None = None,
    attempts: str | None = None,
    max_attempts: int = 3,
    free_reasons: Sequence[str] | None = None,
    not_before: str | None = None,
    backoff: str | timedelta | None = None,
    max_backoff: str | timedelta | None = None,
    # the host
    search_path: str | None = None,
    # how
    concurrently: bool = False,
    lock_timeout: str | timedelta = LOCK_TIMEOUT,
    patience: float | timedelta = PATIENCE,
    progress: Progress | None = None,
) -> str:
    """Watches a table: adds ``server_epoch``, a partial index and triggers to it.

    Takes part in the caller's transaction (in a migration: ``op.get_bind()``), and holds the
    table from the first change until that ends; a large table in use wants `concurrently`. A
    closing is rehearsed on a row, and taken back. Doing it again with the same expressions
    repairs what was removed since, and else changes nothing. The options come in groups: the
    row, its group, its events, its time, its owner, another try; ``open`` and ``close`` are enough.

    Args:
        conn: a psycopg or SQLAlchemy connection of the table's owner, whom a DBA has
            permitted to (`permit`), or of a superuser.
        table: as SQL writes it: ``job``, ``app."Job"``.
        open: SQL condition over the row ``r``: the row is work in flight.
        close: column -> SQL expression that a closing sets; sees ``r`` and
            ``c.reason``, ``c.message``, ``c.at``, ``c.ms``, ``c.epoch``, ``c.detector``.
        name: of the watch, in events and reports; by default ``schema.table``.
        group: SQL expression for the group (session) that a row belongs to; by default every
            row stands alone.
        family: watches of one family share their groups, and close a group in one
            transaction; by default the watch's name.
        parent: on the watch whose rows are the groups: expression for the parent group.
            Trees close deepest first.
        position: order within the family: lower ones are closed and announced first.
        order: expression by which the rows of one group are in order in the events.
        events: ``all``: every transition is an event; ``closed``: only what recovery does.
        image: jsonb expression: what an event records of the row before and after.
        topic: name of the event for a row.
        failed_topics: on the watch whose rows are the groups: events for a group in which
            work was closed.
        idle_topics: the same, once nothing of the group is open any more.
        started: timestamptz expression: when the work began.
        launch_grace: an interval: open work that began more recently is kept although no
            fuse guards it yet; None: the work of this table has no fuses.
        unowned: an interval: open rows without an epoch that began longer ago are closed at
            a boot; None: left alone.
        only: further condition under which an open row of an ended epoch is closed; others
            are let go (their ``server_epoch`` becomes null).
        owner: where another session than the worker's writes the row: text expression for the
            name of the server that does the work, such as ``worker_id``. The row belongs to
            the live server of that name, or, if there is none yet, to the next that boots.
        alive: boolean expression: evidence of life in the host's own tables, such as
            ``exists (select from app.worker as w where w.id = r.worker_id and ...)``. False:
            the row is closed, whoever owns it; true: it is guarded; null says nothing.
        alive_lease: an interval: how long it must have been seen false, without a break, to
            count; by default 15 s.
        requeue: for work that may be repeated: column -> expression, as in `close`: back to
            the queue instead of closed, while attempts are left.
        attempts: the integer column that counts them.
        max_attempts: how many there are in all; the last one is closed.
        free_reasons: reasons of a closing that cost no attempt; by default ``shutdown`` and
            ``drain_expired``, what a deploy does.
        not_before: timestamptz column that a requeue sets: before that time the queue must
            not take the row again.
        backoff: an interval, 1 s by default: how long that is after the first attempt; then
            twice as long each time. Up to half of it is taken away at random.
        max_backoff: an interval, 5 min by default: never longer than this.
        search_path: what the table's own triggers find theirs by when a closing fires them;
            by default that of this session.
        concurrently: in steps of which each is a transaction of its own, so that readers and
            writers wait no longer than `lock_timeout` and the moment after it; on a
            connection in autocommit. What was interrupted goes on when it is repeated.
        lock_timeout: how long a step waits for its lock, while others wait behind it; then
            it steps back, and tries again. Only with `concurrently`, as the next two.
        patience: seconds for which one step is tried again.
        progress: is called before and after each step, with its number, how many there are,
            what it does, and how much of it is done: 0.0 or 1.0.

    Returns:
        The watch's name.

    Raises:
        WatchInvalid: the table or an expression can't work, or each closing would fail: with
            the table's own error (RC006).
        WatchExists: watched already, with other expressions (RC007); see `alter`.
        NotAutocommit: `concurrently` on a connection that begins transactions (2D000).
        TableBusy: others held a lock for longer than `patience`; names them.
        PermissionDenied: not the owner of the table, or not permitted; then it says the
            statement that a DBA has to run (42501).
    """
    if concurrently:
        check(conn)
    watch = calls.run(
        conn,
        calls.watch.attach(
            table,
            open,
            close,
            name=name,
            group=group,
            family=family,
            parent=parent,
            position=position,
            order=order,
            only=only,
            image=image,
            topic=topic,
            failed_topics=failed_topics,
            idle_topics=idle_topics,
            started=started,
            unowned=unowned,
            events=events,
            launch_grace=launch_grace,
            requeue=requeue,
            attempts=attempts,
            max_attempts=max_attempts,
            owner=owner,
            alive=alive,
            alive_lease=alive_lease,
            free_reasons=free_reasons,
            not_before=not_before,
            backoff=backoff,
            max_backoff=max_backoff,
            search_path=search_path,
            concurrently=concurrently,
        ),
    )
    if concurrently:
        steps = calls.watch.attach_steps(table, lock_timeout)
        take(conn, table, steps, patience=patience, progress=progress)
    return watch


async def aattach(
    conn: calls.AnyAsyncConnection,
    table: str,
    *,
    # the row
    open: str,
    close: Mapping[str, str],
    name: str | None = None,
    # its group
    group: str | None = None,
    family: str | None = None,
    parent: str | None = None,
    position: int = 100,
    order: str | None = None,
    # its events
    events: Literal["all", "closed"] = "all",
    image: str | None = None,
    topic: str | None = None,
    failed_topics: Sequence[str] | None = None,
    idle_topics: Sequence[str] | None = None,
    # its time
    started: str | None = None,
    launch_grace: str | timedelta | None = None,
    unowned: str | timedelta | None = None,
    only: str | None = None,
    # its owner, where another session writes the row
    owner: str | None = None,
    alive: str | None = None,
    alive_lease: str | timedelta | None = None,
    # another try
    requeue: Mapping[str, str] | None = None,
    attempts: str | None = None,
    max_attempts: int = 3,
    free_reasons: Sequence[str] | None = None,
    not_before: str | None = None,
    backoff: str | timedelta | None = None,
    max_backoff: str | timedelta | None = None,
    # the host
    search_path: str | None = None,
    # how
    concurrently: bool = False,
    lock_timeout: str | timedelta = LOCK_TIMEOUT,
    patience: float | timedelta = PATIENCE,
    progress: Progress | None = None,
) -> str:
    """`attach` on an async connection."""
    if concurrently:
        await acheck(conn)
    watch = await calls.arun(
        conn,
        calls.watch.attach(
            table,
            open,
            close,
            name=name,
            group=group,
            family=family,
            parent=parent,
            position=position,
            order=order,
            only=only,
            image=image,
            topic=topic,
            failed_topics=failed_topics,
            idle_topics=idle_topics,
            started=started,
            unowned=unowned,
            events=events,
            launch_grace=launch_grace,
            requeue=requeue,
            attempts=attempts,
            max_attempts=max_attempts,
            owner=owner,
            alive=alive,
            alive_lease=alive_lease,
            free_reasons=free_reasons,
            not_before=not_before,
            backoff=backoff,
            max_backoff=max_backoff,
            search_path=search_path,
            concurrently=concurrently,
        ),
    )
    if concurrently:
        steps = calls.watch.attach_steps(table, lock_timeout)
        await atake(conn, table, steps, patience=patience, progress=progress)
    return watch


def alter(
    conn: calls.Connection,
    table: str,
    *,
    # the row
    open: str | Unchanged = _UNCHANGED,
    close: Mapping[str, str] | Unchanged = _UNCHANGED,
    name: str | Unchanged | None = _UNCHANGED,
    # its group
    group: str | Unchanged | None = _UNCHANGED,
    family: str | Unchanged | None = _UNCHANGED,
    parent: str | Unchanged | None = _UNCHANGED,
    position: int | Unchanged | None = _UNCHANGED,
    order: str | Unchanged | None = _UNCHANGED,
    # its events
    events: Literal["all", "closed"] | Unchanged | None = _UNCHANGED,
    image: str | Unchanged | None = _UNCHANGED,
    topic: str | Unchanged | None = _UNCHANGED,
    failed_topics: Sequence[str] | Unchanged | None = _UNCHANGED,
    idle_topics: Sequence[str] | Unchanged | None = _UNCHANGED,
    # its time
    started: str | Unchanged | None = _UNCHANGED,
    launch_grace: str | timedelta | Unchanged | None = _UNCHANGED,
    unowned: str | timedelta | Unchanged | None = _UNCHANGED,
    only: str | Unchanged | None = _UNCHANGED,
    # its owner
    owner: str | Unchanged | None = _UNCHANGED,
    alive: str | Unchanged | None = _UNCHANGED,
    alive_lease: str | timedelta | Unchanged | None = _UNCHANGED,
    # another try
    requeue: Mapping[str, str] | Unchanged | None = _UNCHANGED,
    attempts: str | Unchanged | None = _UNCHANGED,
    max_attempts: int | Unchanged | None = _UNCHANGED,
    free_reasons: Sequence[str] | Unchanged | None = _UNCHANGED,
    not_before: str | Unchanged | None = _UNCHANGED,
    backoff: str | timedelta | Unchanged | None = _UNCHANGED,
    max_backoff: str | timedelta | Unchanged | None = _UNCHANGED,
    # the host
    search_path: str | Unchanged = _UNCHANGED,
    # how
    concurrently: bool = False,
    lock_timeout: str | timedelta = LOCK_TIMEOUT,
    patience: float | timedelta = PATIENCE,
    progress: Progress | None = None,
) -> str:
    """Changes options of a watch, and keeps every owner of work in flight.

    Also repairs what was removed or disabled. An option that is not given stays, None resets
    it to what `attach` does without it. Fuses, requests, failures and settings follow a new
    name; events keep the one under which they were written.

    Args:
        conn: as of `attach`.
        table: a watched one.
        open: this and all others as of `attach`.
        close: see `attach`.
        name: see `attach`.
        group: see `attach`.
        family: see `attach`.
        parent: see `attach`.
        position: see `attach`.
        order: see `attach`.
        events: see `attach`.
        image: see `attach`.
        topic: see `attach`.
        failed_topics: see `attach`.
        idle_topics: see `attach`.
        started: see `attach`.
        launch_grace: see `attach`.
        unowned: see `attach`.
        only: see `attach`.
        requeue: see `attach`.
        attempts: see `attach`.
        max_attempts: see `attach`.
        owner: see `attach`.
        alive: see `attach`.
        alive_lease: see `attach`.
        free_reasons: see `attach`.
        not_before: see `attach`.
        backoff: see `attach`.
        max_backoff: see `attach`.
        search_path: see `attach`.
        concurrently: as of `attach`; an index that changes is made beside the one in use.
        lock_timeout: see `attach`.
        patience: see `attach`.
        progress: see `attach`.

    Returns:
        The watch's name.

    Raises:
        WatchInvalid: it can't work so (RC006); nothing has changed.
        WatchExists: the name is taken (RC007).
        WatchUnknown: the table is not watched (RC008).
        NotAutocommit: `concurrently` on a connection that begins transactions (2D000).
        TableBusy: others held a lock for longer than `patience`; names them.
        PermissionDenied: not the owner of the table (42501).
    """
    changes = _given(
        open=open,
        close=close,
        name=name,
        group=group,
        family=family,
        parent=parent,
        position=position,
        order=order,
        events=events,
        image=image,
        topic=topic,
        failed_topics=failed_topics,
        idle_topics=idle_topics,
        started=started,
        launch_grace=launch_grace,
        unowned=unowned,
        only=only,
        requeue=requeue,
        attempts=attempts,
        max_attempts=max_attempts,
        owner=owner,
        alive=alive,
        alive_lease=alive_lease,
        free_reasons=free_reasons,
        not_before=not_before,
        backoff=backoff,
        max_backoff=max_backoff,
        search_path=search_path,
    )
    if concurrently:
        steps = calls.watch.alter_steps(table, changes, lock_timeout)
        take(conn, table, steps, patience=patience, progress=progress)
        changes = {}
    return calls.run(conn, calls.watch.alter(table, changes))


async def aalter(
    conn: calls.AnyAsyncConnection,
    table: str,
    *,
    # the row
    open: str | Unchanged = _UNCHANGED,
    close: Mapping[str, str] | Unchanged = _UNCHANGED,
    name: str | Unchanged | None = _UNCHANGED,
    # its group
    group: str | Unchanged | None = _UNCHANGED,
    family: str | Unchanged | None = _UNCHANGED,
    parent: str | Unchanged | None = _UNCHANGED,
    position: int | Unchanged | None = _UNCHANGED,
    order: str | Unchanged | None = _UNCHANGED,
    # its events
    events: Literal["all", "closed"] | Unchanged | None = _UNCHANGED,
    image: str | Unchanged | None = _UNCHANGED,
    topic: str | Unchanged | None = _UNCHANGED,
    failed_topics: Sequence[str] | Unchanged | None = _UNCHANGED,
    idle_topics: Sequence[str] | Unchanged | None = _UNCHANGED,
    # its time
    started: str | Unchanged | None = _UNCHANGED,
    launch_grace: str | timedelta | Unchanged | None = _UNCHANGED,
    unowned: str | timedelta | Unchanged | None = _UNCHANGED,
    only: str | Unchanged | None = _UNCHANGED,
    # its owner
    owner: str | Unchanged | None = _UNCHANGED,
    alive: str | Unchanged | None = _UNCHANGED,
    alive_lease: str | timedelta | Unchanged | None = _UNCHANGED,
    # another try
    requeue: Mapping[str, str] | Unchanged | None = _UNCHANGED,
    attempts: str | Unchanged | None = _UNCHANGED,
    max_attempts: int | Unchanged | None = _UNCHANGED,
    free_reasons: Sequence[str] | Unchanged | None = _UNCHANGED,
    not_before: str | Unchanged | None = _UNCHANGED,
    backoff: str | timedelta | Unchanged | None = _UNCHANGED,
    max_backoff: str | timedelta | Unchanged | None = _UNCHANGED,
    # the host
    search_path: str | Unchanged = _UNCHANGED,
    # how
    concurrently: bool = False,
    lock_timeout: str | timedelta = LOCK_TIMEOUT,
    patience: float | timedelta = PATIENCE,
    progress: Progress | None = None,
) -> str:
    """`alter` on an async connection."""
    changes = _given(
        open=open,
        close=close,
        name=name,
        group=group,
        family=family,
        parent=parent,
        position=position,
        order=order,
        events=events,
        image=image,
        topic=topic,
        failed_topics=failed_topics,
        idle_topics=idle_topics,
        started=started,
        launch_grace=launch_grace,
        unowned=unowned,
        only=only,
        requeue=requeue,
        attempts=attempts,
        max_attempts=max_attempts,
        owner=owner,
        alive=alive,
        alive_lease=alive_lease,
        free_reasons=free_reasons,
        not_before=not_before,
        backoff=backoff,
        max_backoff=max_backoff,
        search_path=search_path,
    )
    if concurrently:
        steps = calls.watch.alter_steps(table, changes, lock_timeout)
        await atake(conn, table, steps, patience=patience, progress=progress)
        changes = {}
    return await calls.arun(conn, calls.watch.alter(table, changes))


def _given(**options: object) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not _UNCHANGED}


def permit(conn: calls.Connection, owner: str) -> None:
    """Permits the owner of tables to attach them; once for each owner, by a DBA.

    Makes the role that runs what stands in these tables (triggers, expressions): it can
    do what the owner can, and append events of the owner's watches. The owner gets no
    right on anybody else's tables, nor on servers, tokens and events. Doing it again
    repairs what was removed.

    Args:
        conn: of a superuser; or of a member of recovery_owner with CREATEROLE and (from
            PostgreSQL 16 on) the admin option on the owner.
        owner: the role, as SQL writes it.

    Raises:
        psycopg.errors.UndefinedObject: there is no such role (42704).
        PermissionDenied: these rights are missing (42501).
    """
    calls.run(conn, calls.watch.permit(owner))


async def apermit(conn: calls.AnyAsyncConnection, owner: str) -> None:
    """`permit` on an async connection."""
    await calls.arun(conn, calls.watch.permit(owner))


def detach(
    conn: calls.Connection,
    table: str,
    *,
    concurrently: bool = False,
    lock_timeout: str | timedelta | None = None,
    patience: float | timedelta = PATIENCE,
    progress: Progress | None = None,
) -> None:
    """Stops watching a table and restores it as it was; its events stay.

    In the caller's transaction, unless `concurrently` or `lock_timeout` is given; then on a
    connection in autocommit.

    Args:
        conn: as of `attach`.
        table: a watched one.
        concurrently: in steps, as of `attach`: the triggers first, then each index.
        lock_timeout: how long it waits for the table, while others wait behind it; then it
            steps back, and tries again. By default as long as the session says, or 50 ms
            with `concurrently`.
        patience: seconds for which it tries.
        progress: see `attach`.

    Raises:
        WatchUnknown: it is not watched (RC008).
        NotAutocommit: on a connection that begins transactions (2D000).
        TableBusy: others held a lock for longer than `patience`; names them.
    """
    if concurrently:
        steps = calls.watch.detach_steps(table, lock_timeout or LOCK_TIMEOUT)
    elif lock_timeout is not None:
        steps = calls.watch.brief_detach(table, lock_timeout)
    else:
        return calls.run(conn, calls.watch.detach(table))
    take(conn, table, steps, patience=patience, progress=progress)


async def adetach(
    conn: calls.AnyAsyncConnection,
    table: str,
    *,
    concurrently: bool = False,
    lock_timeout: str | timedelta | None = None,
    patience: float | timedelta = PATIENCE,
    progress: Progress | None = None,
) -> None:
    """`detach` on an async connection."""
    if concurrently:
        steps = calls.watch.detach_steps(table, lock_timeout or LOCK_TIMEOUT)
    elif lock_timeout is not None:
        steps = calls.watch.brief_detach(table, lock_timeout)
    else:
        return await calls.arun(conn, calls.watch.detach(table))
    await atake(conn, table, steps, patience=patience, progress=progress)


def supervise(
    conn: calls.Connection,
    table: str,
    *,
    kind: str | None = None,
    activity: str | None = None,
    timeout: str | None = None,
    hold: str | None = None,
    child: str | None = None,
    cancel: Scope = "row",
    started: str | None = None,
) -> str:
    """Puts a watched table under the watchdog; the timeouts are settings (`configure`).

    Takes part in the caller's transaction. Doing it again replaces what was said before.
    All expressions are SQL over the row ``r``, read with ``search_path = pg_catalog``.

    Args:
        conn: as of `attach`.
        table: a watched one.
        kind: text, such as ``bash``: which ``tool_timeout`` counts. Null: none does.
        activity: timestamptz of its last sign of life, besides `Server.touch`.
        timeout: interval, the row's own; goes before every setting.
        hold: boolean: it waits for a human or a point in time, and no clock runs.
        child: group (session) that the row waits for: while anything is open in it, the
            row is not stuck; then ``task_timeout`` counts instead of ``tool_timeout``.
        cancel: what a timeout stops: the ``row``, or its whole ``group``.
        started: timestamptz, immutable; by default what `attach` was given.

    Returns:
        The watch's name.

    Raises:
        WatchInvalid: an expression can't work, or no start is known (RC006).
        WatchUnknown: the table is not watched (RC008).
        PermissionDenied: not the owner of the table (42501).
    """
    return calls.run(
        conn,
        calls.watchdog.supervise(
            table,
            kind=kind,
            activity=activity,
            timeout=timeout,
            hold=hold,
            child=child,
            cancel=cancel,
            started=started,
        ),
    )


async def asupervise(
    conn: calls.AnyAsyncConnection,
    table: str,
    *,
    kind: str | None = None,
    activity: str | None = None,
    timeout: str | None = None,
    hold: str | None = None,
    child: str | None = None,
    cancel: Scope = "row",
    started: str | None = None,
) -> str:
    """`supervise` on an async connection."""
    return await calls.arun(
        conn,
        calls.watchdog.supervise(
            table,
            kind=kind,
            activity=activity,
            timeout=timeout,
            hold=hold,
            child=child,
            cancel=cancel,
            started=started,
        ),
    )


def unsupervise(conn: calls.Connection, table: str) -> str:
    """Takes a table from the watchdog: what `supervise` was told is forgotten.

    Takes part in the caller's transaction. ``wall_timeout`` and ``idle_timeout`` go on to count.

    Returns:
        The watch's name.

    Raises:
        WatchUnknown: the table is not watched (RC008).
        PermissionDenied: not the owner of the table (42501).
    """
    return calls.run(conn, calls.watchdog.unsupervise(table))


async def aunsupervise(conn: calls.AnyAsyncConnection, table: str) -> str:
    """`unsupervise` on an async connection."""
    return await calls.arun(conn, calls.watchdog.unsupervise(table))
