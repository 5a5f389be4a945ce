"""Which watches a host has declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm.mapper import _all_registries

from recovery.declared.compiling import dialect
from recovery.declared.watch import Watch
from recovery.errors import InvalidArgument

__all__ = ["Declared", "Source", "relation_of", "tables_of", "watches"]

#: Of a model.
ATTRIBUTE = "__recovery__"
#: Of a Table.
INFO = "recovery"

#: Where declarations are: of a MetaData, a declarative base or one model, a registry, a Table.
Source: TypeAlias = "sa.MetaData | orm.registry | type[Any] | sa.Table"


@dataclass(frozen=True)
class Declared:
    """One table that is declared to be watched.

    Attributes:
        table: the table.
        model: the class that declares it; None: the Table does.
        watch: the declaration.
        relation: the table as SQL writes it: ``job``, ``app."Job"``.
        name: of the watch, as events and reports say it; ``schema.table`` unless another is given.
        options: the arguments of `attach` but for the table.
        supervision: the arguments of `supervise` but for the table; None: it is not asked for.
    """

    table: sa.Table
    model: type[Any] | None
    watch: Watch
    relation: str
    name: str
    options: Mapping[str, Any] = field(hash=False)
    supervision: Mapping[str, Any] | None = field(hash=False)


def watches(
    source: Source | Sequence[Source],
    *,
    schemas: Mapping[str | None, str | None] | None = None,
) -> list[Declared]:
    """What is declared, in a stable order: by family, its groups first, then by position.

    Args:
        source: where the declarations are: a MetaData (with the models mapped to its tables),
            a declarative base, one model, a registry, a Table; or several of these.
        schemas: as SQLAlchemy's ``schema_translate_map``; without it a table without a schema is
            taken to be in ``public``.

    Raises:
        InvalidArgument: a table is declared twice, two watches have one name, or an expression
            can't be written as SQL text (RC010).
    """
    found: dict[sa.Table, tuple[type[Any] | None, Watch]] = {}
    for each in _each(source):
        for table, model, watch in _of(each):
            other = found.setdefault(table, (model, watch))
            if other[1] is not watch:
                raise InvalidArgument(
                    f"table {table.fullname} has two watches: {_place(table, other[0])} declares"
                    f" one, and {_place(table, model)} another",
                    hint="a table has one: declare it where all its rows are",
                )
    declared = [_declared(table, *each, schemas) for table, each in found.items()]
    for what in ("relation", "name"):
        known: dict[str, Declared] = {}
        for one in declared:
            other_one = known.setdefault(getattr(one, what), one)
            if other_one is not one:
                raise InvalidArgument(
                    f"two watches have the {what} {getattr(one, what)}:"
                    f" {_place(one.table, one.model)} and"
                    f" {_place(other_one.table, other_one.model)}"
                )
    return sorted(
        declared,
        key=lambda one: (
            one.watch.family or one.name,
            one.watch.parent is None,
            one.watch.position,
            one.relation,
        ),
    )


def _declared(
    table: sa.Table,
    model: type[Any] | None,
    watch: Watch,
    schemas: Mapping[str | None, str | None] | None,
) -> Declared:
    return Declared(
        table=table,
        model=model,
        watch=watch,
        relation=relation_of(table, schemas),
        name=watch.name or f"{_schema(table, schemas) or 'public'}.{table.name}",
        options=watch.compile(table, model=model, schemas=schemas),
        supervision=watch.compile_supervision(table, model=model, schemas=schemas),
    )


def _place(table: sa.Table, model: type[Any] | None) -> str:
    if model is None:
        return f'info["{INFO}"] of table {table.fullname}'
    return f"{model.__module__}.{model.__qualname__}"


def relation_of(table: sa.Table, schemas: Mapping[str | None, str | None] | None = None) -> str:
    """A table as SQL writes it."""
    quote = dialect().identifier_preparer.quote
    return ".".join(quote(part) for part in (_schema(table, schemas), table.name) if part)


def _schema(table: sa.Table, schemas: Mapping[str | None, str | None] | None) -> str | None:
    return (schemas or {}).get(table.schema, table.schema)


def tables_of(source: Source | Sequence[Source]) -> list[sa.Table]:
    """The tables that a source speaks for, declared or not."""
    found: dict[sa.Table, None] = {}
    for each in _each(source):
        if isinstance(each, sa.Table):
            found[each] = None
        elif isinstance(mapper := sa.inspect(each, raiseerr=False), orm.Mapper):
            if isinstance(mapper.local_table, sa.Table):
                found[mapper.local_table] = None
        else:
            metadata = each if isinstance(each, sa.MetaData) else getattr(each, "metadata", None)
            found.update(dict.fromkeys(getattr(metadata, "tables", {}).values()))
    return list(found)


def _each(source: Source | Sequence[Source]) -> Sequence[Source]:
    several = isinstance(source, Sequence) and not isinstance(source, str)
    return cast("Sequence[Source]", source if several else [source])


def _of(source: Source) -> Iterator[tuple[sa.Table, type[Any] | None, Watch]]:
    """What one source declares."""
    if isinstance(source, sa.Table):
        yield from _of_table(source)
    elif isinstance(source, sa.MetaData):
        for table in source.tables.values():
            yield from _of_table(table)
        for registry in _all_registries():
            try:
                mappers = registry.mappers
            except orm.exc.UnmappedClassError:
                if registry.metadata is source:
                    raise
                continue  # a class whose mapping failed, and none of ours
            yield from _of_mappers(
                mapper
                for mapper in mappers
                if getattr(mapper.local_table, "metadata", None) is source
            )
    elif isinstance(source, orm.registry):
        yield from _of_registry(source)
    elif isinstance(mapper := sa.inspect(source, raiseerr=False), orm.Mapper):
        yield from _of_mappers([mapper])
    elif isinstance(own := getattr(source, "registry", None), orm.registry):
        yield from _of_registry(own)
    else:
        raise InvalidArgument(
            f"{source!r} declares nothing: it is no MetaData, declarative base, model, registry"
            " or Table"
        )


def _of_registry(registry: orm.registry) -> Iterator[tuple[sa.Table, type[Any] | None, Watch]]:
    for table in registry.metadata.tables.values():
        yield from _of_table(table)
    yield from _of_mappers(registry.mappers)


def _of_table(table: sa.Table) -> Iterator[tuple[sa.Table, type[Any] | None, Watch]]:
    watch = _watch(table.info.get(INFO), f'info["{INFO}"] of table {table.fullname}')
    if watch is not None:
        yield table, None, watch


def _of_mappers(
    mappers: Iterable[orm.Mapper[Any]],
) -> Iterator[tuple[sa.Table, type[Any] | None, Watch]]:
    def name(mapper: orm.Mapper[Any]) -> tuple[str, str]:
        return mapper.class_.__module__, mapper.class_.__qualname__

    for mapper in sorted(mappers, key=name):
        model = mapper.class_
        if _declarer(mapper) is None:
            continue
        watch = _watch(getattr(model, ATTRIBUTE), f"{ATTRIBUTE} of {model.__qualname__}")
        if watch is None:
            continue
        if not isinstance(mapper.local_table, sa.Table):
            raise InvalidArgument(
                f"{model.__qualname__} is mapped to no table, and can't be watched"
            )
        yield mapper.local_table, model, watch


def _declarer(mapper: orm.Mapper[Any]) -> type[Any] | None:
    """The class that declares the watch of a model; None: nobody, or a mapped one above it does,
    of whose table it is."""
    for base in mapper.class_.__mro__:
        if ATTRIBUTE in vars(base):
            above = mapper.inherits
            if above is None or mapper.concrete or not issubclass(above.class_, base):
                return base
            return None
    return None


def _watch(value: Any, where: str) -> Watch | None:
    if value is not None and not isinstance(value, Watch):
        raise InvalidArgument(f"{where} is {value!r}, and no recovery.Watch")
    return value
