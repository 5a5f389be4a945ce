"""Autogenerate: what the models declare against what is watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import DispatchPriority, PriorityDispatchResult, to_list

from recovery import errors, schema
from recovery.declared.finding import Declared, watches
from recovery.migrations import ours, revising
from recovery.migrations.operations import (
    AlterWatchOp,
    CreateWatchOp,
    DropWatchOp,
    InstallRecoveryOp,
    defaults,
)

__all__ = ["register"]

_GO_ON = PriorityDispatchResult.CONTINUE
_registered: list[bool] = []


def register() -> None:
    """Tells Alembic: among the comparators that run whatever autogenerate_plugins says."""
    if _registered:
        return
    _registered.append(True)
    for target, subgroup, priority, compare in (
        ("autogenerate", "recovery_quiet", DispatchPriority.FIRST, _be_quiet),
        ("autogenerate", "recovery_watches", DispatchPriority.LAST, _compare_watches),
        # Of the subgroup of Alembic's own: who stops there keeps it from looking.
        ("column", "comments", DispatchPriority.FIRST, _keep_comment),
    ):
        comparators.dispatch_for(
            target, qualifier="postgresql", priority=priority, subgroup=subgroup
        )(compare)


def _be_quiet(context: AutogenContext, upgrade: ops.UpgradeOps) -> PriorityDispatchResult:
    """Before anything is compared: leaves out what is ours. The host's filters come after."""
    found = ours.find(_connection(context))
    context._name_filters.insert(0, found.include_name)
    context._object_filters.insert(0, found.include_object)
    context.opts["recovery"] = found
    revising.hook(context.migration_context)
    return _GO_ON


def _keep_comment(
    context: AutogenContext,
    alter: ops.AlterColumnOp,
    schema_name: str | None,
    table: str,
    column: str,
    there: sa.Column[Any],
    declared: sa.Column[Any],
) -> PriorityDispatchResult:
    """A model that maps the owner column need not know our comment on it."""
    found: ours.Ours = context.opts["recovery"]
    if (
        column == ours.OWNER
        and not declared.comment
        and found.name(schema_name, table) in found.watched
    ):
        return PriorityDispatchResult.STOP
    return _GO_ON


@dataclass(frozen=True)
class _Watched:
    """A row of recovery.watch."""

    schema: str
    table: str
    spec: Mapping[str, Any]
    supervised: Mapping[str, Any] | None
    path: str
    own_column: bool

    def options(self) -> dict[str, Any]:
        """What `create_watch` takes to make it again."""
        usual = {**defaults(), "name": f"{self.schema}.{self.table}"}
        found = {
            name: value
            for name, value in self.spec.items()
            if name in usual and value is not None and value != usual[name]
        }
        supervise = _supervision(self.supervised)
        return found | ({"supervise": supervise} if supervise else {})


def _compare_watches(context: AutogenContext, upgrade: ops.UpgradeOps) -> PriorityDispatchResult:
    """After all else is compared: adds the operations on watches, each where it can work."""
    connection = _connection(context)
    found: ours.Ours = context.opts["recovery"]
    tables = {found.name(t.schema, t.name): t for t in context.sorted_tables}
    declared = list(_declared(context, found))
    there = _watched(connection, needed=bool(declared))
    install = list(_install(context, connection, bool(declared)))
    drops: list[ops.MigrateOperation] = []
    creates: list[ops.MigrateOperation] = []
    new = {
        found.name(op.schema, op.table_name)
        for op in upgrade.ops
        if isinstance(op, ops.CreateTableOp)
    }
    # Of env.py, for tables with traffic: context.configure(recovery_concurrently=True).
    wanted = bool(context.opts.get("recovery_concurrently"))
    for one in declared:
        name = found.name(one.table.schema, one.table.name)
        concurrently = wanted and name not in new
        watch = there.get(name)
        if watch is None:
            creates.append(_create(one, concurrently))
        elif changes := _changes(connection, one, watch):
            _insert_alter(upgrade, one.table, changes, concurrently)
    kept = {found.name(one.table.schema, one.table.name) for one in declared}
    dropped = {found.name(op.schema, op.table_name): op for op in _dropped(upgrade.ops)}
    for name, watch in there.items():
        if name in dropped:
            drops.append(_drop(found, watch, False))
            _forget_column(dropped[name], watch)
        elif name in tables and name not in kept and _is_compared(context, tables[name], True):
            drops.append(_drop(found, watch, wanted))
            if watch.own_column and ours.OWNER in tables[name].c:
                # It goes with the watch, and the model goes on to map it.
                drops.append(_own_column(tables[name]))
    upgrade.ops[:] = [*install, *drops, *upgrade.ops, *creates]
    return _GO_ON


def _declared(context: AutogenContext, found: ours.Ours) -> Iterator[Declared]:
    """What the models declare, but for tables that the host's filters leave out."""
    sources = to_list(context.metadata, [])
    places: dict[str | None, str | None] = {}
    if found.default_schema != "public":
        places[None] = found.default_schema
    for one in watches(sources, schemas=places or None):
        if _is_compared(context, one.table, False):
            yield one


def _is_compared(context: AutogenContext, table: sa.Table, reflected: bool) -> bool:
    """Whether the host's include_name and include_object let a table through, and its watch."""
    parents: Any = {"schema_name": table.schema}
    kind: Any = "watch"
    return (
        context.run_name_filters(table.schema, "schema", {})
        and context.run_name_filters(table.name, "table", parents)
        and context.run_object_filters(table, table.name, "table", False, table)
        and context.run_object_filters(table, table.name, kind, reflected, None)
    )


_MAY_READ = sa.text(
    "select pg_catalog.has_schema_privilege('recovery', 'usage')"
    " and pg_catalog.has_table_privilege('recovery.watch', 'select')"
    " from (select pg_catalog.to_regclass('recovery.watch') as there) as t where there is not null"
)

_READ = sa.text(
    "select n.nspname, c.relname, w.spec, w.supervised, w.path, w.own_column"
    " from recovery.watch as w"
    " join pg_catalog.pg_class as c on c.oid = w.relation"
    " join pg_catalog.pg_namespace as n on n.oid = c.relnamespace"
    " order by w.id"
)


def _watched(connection: sa.Connection, *, needed: bool) -> dict[tuple[str, str], _Watched]:
    """What the database watches; nothing if it does not have our schema."""
    may = _may_read(connection)
    if may is None or not (may or needed):
        return {}
    if not may:
        me = connection.scalar(sa.text("select pg_catalog.quote_ident(current_user)"))
        raise errors.PermissionDenied(
            f"{me} may not read recovery.watch, with which autogenerate compares the models",
            hint=f"A DBA runs this once: select recovery.permit('{me}')",
        )
    return {(row[0], row[1]): _Watched(*row) for row in connection.execute(_READ)}


def _may_read(connection: sa.Connection) -> bool | None:
    """None: there is nothing to read."""
    if connection.scalar(sa.text("select pg_catalog.to_regclass('recovery.watch')")) is None:
        return None
    return bool(connection.scalar(_MAY_READ))


_IS_FOREIGN = sa.text(
    "select not (pg_catalog.has_schema_privilege(p.pronamespace, 'usage')"
    " and pg_catalog.has_function_privilege(p.oid, 'execute'))"
    " from pg_catalog.pg_proc as p"
    " where p.oid = pg_catalog.to_regprocedure('recovery.version()')"
)


def _install(
    context: AutogenContext, connection: sa.Connection, declared: bool
) -> Iterator[ops.MigrateOperation]:
    """What a host's one line of revisions needs of us: the schema, or a newer one."""
    if not declared or revising.core(context.migration_context.script) is not None:
        return
    if connection.scalar(_IS_FOREIGN):
        return  # a DBA has installed it, and upgrades it
    current = schema.current(connection)
    if current["managed"] == "host":
        return
    for existing, revision in schema.outdated(current["revisions"]):
        yield InstallRecoveryOp(revision, existing=existing)


def _create(one: Declared, concurrently: bool) -> CreateWatchOp:
    options = dict(one.options)
    if one.supervision:
        options["supervise"] = dict(one.supervision)
    return CreateWatchOp(
        one.table.name, options, schema=one.table.schema, concurrently=concurrently
    )


def _drop(found: ours.Ours, watch: _Watched, concurrently: bool) -> DropWatchOp:
    schema_name = None if watch.schema == found.default_schema else watch.schema
    return DropWatchOp(
        watch.table, schema=schema_name, concurrently=concurrently, options=watch.options()
    )


def _changes(
    connection: sa.Connection, one: Declared, watch: _Watched
) -> dict[str, tuple[Any, Any]]:
    """Option -> what it is in the database, what is declared: where they differ."""
    usual = defaults()
    found: dict[str, tuple[Any, Any]] = {}
    for name in [*watch.spec, *(option for option in one.options if option not in watch.spec)]:
        is_there = watch.spec.get(name)
        if (
            name == "search_path"
            or name not in usual
            or (name == "name" and name not in one.options)
        ):
            continue  # the table may have been renamed; the watch goes on under its name
        wanted = one.options.get(name, usual[name])
        if wanted is None and is_there is not None:
            wanted = _DEFAULTS.get(name)
        if name == "max_attempts" and one.options.get("requeue") is None:
            wanted = None
        if _differ(connection, name, is_there, wanted):
            found[name] = (is_there, one.options.get(name))
    path = one.options.get("search_path")
    if path is not None and path != watch.path:
        found["search_path"] = (watch.path, path)
    before, after = _supervision(watch.supervised), dict(one.supervision or {})
    if after.get("started") is None:
        before.pop("started", None)  # what was said once stays
    if before != {k: v for k, v in after.items() if v is not None and (k, v) != ("cancel", "row")}:
        found["supervise"] = (before or None, after or None)
    return found


def _supervision(supervised: Mapping[str, Any] | None) -> dict[str, Any]:
    """Without what goes without saying."""
    return {
        name: value
        for name, value in (supervised or {}).items()
        if value is not None and (name, value) != ("cancel", "row")
    }


#: Options that SQL keeps in a form of its own.
_INTERVALS = ("launch_grace", "unowned", "alive_lease", "backoff", "max_backoff")

#: What SQL does where such an option is not given, beside one that is.
_DEFAULTS = {
    "free_reasons": ["shutdown", "drain_expired"],
    "alive_lease": "15 seconds",
    "backoff": "1 second",
    "max_backoff": "5 minutes",
}


def _differ(connection: sa.Connection, name: str, is_there: Any, wanted: Any) -> bool:
    if is_there is None or wanted is None:
        return is_there is not wanted
    if name in _INTERVALS:
        same = sa.text(
            "select cast(cast(:a as text) as interval) = cast(cast(:b as text) as interval)"
        )
        return not connection.scalar(same, {"a": str(is_there), "b": str(wanted)})
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return bool(list(is_there) != list(wanted))
    return bool(is_there != wanted)


def _insert_alter(
    upgrade: ops.UpgradeOps,
    table: sa.Table,
    changes: Mapping[str, tuple[Any, Any]],
    concurrently: bool,
) -> None:
    """Between the new columns of the table and the drop of old ones: it may need the first and
    get rid of the second."""
    alter = AlterWatchOp(
        table.name,
        {name: wanted for name, (_, wanted) in changes.items()},
        schema=table.schema,
        existing={name: is_there for name, (is_there, _) in changes.items()},
        concurrently=concurrently,
    )
    for place, op in enumerate(upgrade.ops):
        if not isinstance(op, ops.ModifyTableOps):
            continue
        if (op.schema, op.table_name) != (table.schema, table.name):
            continue
        late = [each for each in op.ops if isinstance(each, ops.DropColumnOp)]
        early = [each for each in op.ops if not isinstance(each, ops.DropColumnOp)]
        parts: list[ops.MigrateOperation] = [alter]
        if early:
            parts.insert(0, ops.ModifyTableOps(op.table_name, early, schema=op.schema))
        if late:
            parts.append(ops.ModifyTableOps(op.table_name, late, schema=op.schema))
        upgrade.ops[place : place + 1] = parts
        return
    upgrade.ops.append(alter)


def _dropped(found: Sequence[ops.MigrateOperation]) -> Iterator[ops.DropTableOp]:
    return (op for op in found if isinstance(op, ops.DropTableOp))


def _forget_column(drop: ops.DropTableOp, watch: _Watched) -> None:
    """Our column is not the host's: the table that a downgrade makes again does not have it."""
    reverse = drop._reverse
    if watch.own_column and reverse is not None:
        reverse.columns = [
            item
            for item in reverse.columns
            if not (isinstance(item, sa.Column) and item.name == ours.OWNER)
        ]


def _own_column(table: sa.Table) -> ops.ModifyTableOps:
    column = ops.AddColumnOp.from_column_and_tablename(
        table.schema, table.name, table.c[ours.OWNER]
    )
    return ops.ModifyTableOps(table.name, [column], schema=table.schema)


def _connection(context: AutogenContext) -> sa.Connection:
    assert context.connection is not None, "autogenerate has a connection"
    return context.connection
