"""What a declaration says, as the SQL text that `recovery.attach` takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.orm import MappedColumn, Mapper
from sqlalchemy.sql import coercions, operators, roles, visitors
from sqlalchemy.sql import util as sql_util
from sqlalchemy.sql.elements import BindParameter

from recovery.declared.closing import Closing
from recovery.errors import InvalidArgument

__all__ = ["Compiler", "dialect", "interval", "topics"]

# Words of SQL that stand alone and are no column.
_CONSTANTS = frozenset(
    "null true false default current_catalog current_date current_role current_schema"
    " current_time current_timestamp current_user localtime localtimestamp session_user"
    " system_user user".split()
)


class _JSON(postgresql.JSON):
    """As a literal; SQLAlchemy itself has none for it."""

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        to_text = cast(Any, self).bind_processor(dialect)
        quote = cast(Any, sa.Text()).literal_processor(dialect)
        return lambda value: _quoted(quote, to_text(value))


class _JSONB(postgresql.JSONB):
    """As a literal."""

    literal_processor = _JSON.literal_processor


class _Bytes(sa.LargeBinary):
    """As a literal: SQLAlchemy's own has to be text in some encoding."""

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        return lambda value: f"'\\x{bytes(value).hex()}'"


def _quoted(quote: Any, text: str | None) -> str:
    return "NULL" if text is None else str(quote(text))


class _Dialect(PGDialect):
    """PostgreSQL's, for text that no driver sees: nothing is doubled or escaped for one."""

    supports_statement_cache = False
    # What it asks the server for when it connects; standard_conforming_strings is on there.
    _backslash_escapes = False
    colspecs = {  # noqa: RUF012
        **PGDialect.colspecs,
        sa.JSON: _JSON,
        postgresql.JSON: _JSON,
        postgresql.JSONB: _JSONB,
        sa.LargeBinary: _Bytes,
    }


def dialect() -> sa.Dialect:
    """PostgreSQL's, to write SQL text with."""
    return cast(Any, _Dialect)(paramstyle="named")  # type: ignore[no-any-return]


def interval(value: str | timedelta | None) -> str | None:
    """An interval as PostgreSQL reads it."""
    if not isinstance(value, timedelta):
        return value
    micros = (value.days * 86400 + value.seconds) * 1_000_000 + value.microseconds
    return f"{micros // 1_000_000} seconds" if micros % 1_000_000 == 0 else f"{micros} microseconds"


def topics(option: str, value: Sequence[str] | None) -> list[str] | None:
    """Names of events."""
    if isinstance(value, str):
        raise InvalidArgument(f"{option} is a list of names, not the str {value!r}")
    return None if value is None else list(value)


class Compiler:
    """Compiles the expressions of the watch of one table."""

    def __init__(
        self,
        table: sa.Table,
        model: type[Any] | None,
        schemas: Mapping[str | None, str | None] | None,
    ) -> None:
        self._table = table
        self._model = model
        self._mapper: Mapper[Any] | None = None if model is None else sa.inspect(model)
        if self._mapper is not None:
            # Or relationships and back references are not there yet.
            self._mapper.registry.configure(cascade=True)
        self._schemas = {None: "public", **(schemas or {})}
        self._row = table.alias("r")
        self._where = f"the watch of {table.fullname if model is None else model.__qualname__}"

    def condition(self, option: str, value: Any) -> str:
        """The condition `open`; of a class that shares its table with others, its rows only."""
        said = self.expression(option, value)
        if said is None:
            raise self._refuse(option, "is missing")
        mapper = self._mapper
        if mapper is None or not mapper.single or mapper._single_table_criterion is None:
            return said
        its_own = self._render(option, self._own(option, mapper._single_table_criterion))
        return f"({said}) AND {its_own}"

    def instant(self, option: str, value: Any) -> str | None:
        """An expression that must be a timestamptz, and immutable."""
        return self.expression(option, value, instant=True)

    def expression(self, option: str, value: Any, *, instant: bool = False) -> str | None:
        """An expression over the row."""
        if value is None:
            return None
        found = self._element(option, value, None)
        if isinstance(found, str):
            return found
        if instant:
            self._check_instant(option, found)
        return self._render(option, found)

    def list(self, option: str, value: Any) -> str | None:
        """Expressions over the row, with commas between."""
        if not isinstance(value, (list, tuple)):
            return self.expression(option, value)
        return ", ".join(str(self.expression(option, each)) for each in value)

    def column(self, option: str, value: Any) -> str | None:
        """The name of a column of the table."""
        return None if value is None else self._column(option, self._called(option, value)).name

    def sets(self, option: str, value: Any) -> dict[str, str]:
        """Column -> expression over the row and the closing."""
        value = self._called(option, value)
        if not isinstance(value, Mapping):
            raise self._refuse(option, f"is {value!r}, and not column -> expression")
        found: dict[str, str] = {}
        for key, each in value.items():
            column = self._column(option, key)
            what = f"{option} {column.name}"
            if column.name in found:
                raise self._refuse(what, "is said twice")
            if each is None:
                found[column.name] = "null"
                continue
            element = self._element(what, each, column)
            if isinstance(element, str):
                self._check_word(what, element)
                found[column.name] = element
            else:
                found[column.name] = self._render(what, element, closing=True)
        return found

    # What was given.

    def _called(self, option: str, value: Any) -> Any:
        """What a function of the declaration makes of the model or the table."""
        if isinstance(value, (str, Mapping, sa.ClauseElement)) or not callable(value):
            return value
        if hasattr(value, "__clause_element__"):
            return value
        try:
            return value(self._table if self._model is None else self._model)
        except Exception as error:
            raise self._refuse(option, f"failed: {type(error).__name__}: {error}") from error

    def _element(
        self, option: str, value: Any, column: sa.Column[Any] | None
    ) -> sa.ColumnElement[Any] | str:
        """SQL text, or an expression over the columns of the table."""
        value = self._called(option, value)
        # Before str: the members of many an Enum are.
        if isinstance(value, str) and not isinstance(value, Enum):
            return value
        try:
            if value is None:
                return sa.null()
            if column is not None and not _is_sql(value):
                return sa.literal(value, column.type)
            found: Any = coercions.expect(roles.ExpressionElementRole, value)
            return cast("sa.ColumnElement[Any]", self._own(option, found))
        except InvalidArgument:
            raise
        except Exception as error:
            raise self._refuse(option, f"is {value!r}, which is no expression: {error}") from error

    def _own(self, option: str, element: Any) -> Any:
        """The same, over the row ``r``; columns of a mixin become those of the table."""
        element = sql_util._deep_deannotate(element)

        def attach(each: Any, **_: Any) -> Any:
            if isinstance(each, sa.Column) and _is_loose(each):
                return self._column(option, each)
            return None

        element = cast(Any, visitors.replacement_traverse)(element, {}, attach)
        for each in visitors.iterate(element):
            if isinstance(each, sa.BinaryExpression):
                _type_value(each.left, each.right)
                _type_value(each.right, each.left)
        return sql_util.ClauseAdapter(self._row).traverse(element)

    def _column(self, option: str, key: Any) -> sa.Column[Any]:
        """The column of the table that a key names."""
        columns = self._table.c
        if isinstance(key, str):
            if self._mapper is not None and key in self._mapper.columns:
                found = self._mapper.columns[key]
                if isinstance(found, sa.Column):
                    return self._column(option, found)
            named = [each for each in columns if each.name == key]
            if named:
                return named[0]
            if key in columns:
                return columns[key]
            raise self._refuse(
                option, f"names {key!r}, and {self._table.fullname} has no such column"
            )
        if hasattr(key, "__clause_element__"):
            key = key.__clause_element__()
        if isinstance(key, sa.ClauseElement):
            key = sql_util._deep_deannotate(key)
        if isinstance(key, sa.Column):
            if not _is_loose(key):
                if key.table is self._table:
                    return key
                raise self._foreign(option, [key.table], [key.name])
            # Of a mixin: the model has a copy of it, under the same attribute.
            for base in () if self._model is None else self._model.__mro__:
                for name, value in vars(base).items():
                    if (value.column if isinstance(value, MappedColumn) else value) is key:
                        return self._column(option, name)
            if key.name is not None:
                return self._column(option, str(key.name))
        raise self._refuse(option, f"is {key!r}, and no column of {self._table.fullname}")

    # What becomes of it.

    def _render(self, option: str, element: Any, *, closing: bool = False) -> str:
        """SQL text, with its values in it."""
        whole: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(self._row)
        if closing:
            whole = whole.select_from(Closing.table)
        prefix = self._compile(option, whole) + " \nWHERE "
        whole = whole.where(element)
        self._check_froms(option, element, whole, closing)
        text = self._compile(option, whole)
        assert text.startswith(prefix), text
        return _on_one_line(text.removeprefix(prefix))

    def _compile(self, option: str, whole: sa.Select[Any]) -> str:
        try:
            return str(
                whole.compile(
                    dialect=dialect(),
                    schema_translate_map=self._schemas,
                    render_schema_translate=True,
                    compile_kwargs={"literal_binds": True},
                )
            )
        except Exception as error:
            raise self._refuse(option, f"can't be written as SQL text: {error}") from error

    # What can't be.

    def _refuse(self, option: str, why: str, hint: str | None = None) -> InvalidArgument:
        return InvalidArgument(f"{option} of {self._where} {why}", hint=hint)

    def _foreign(self, option: str, others: Sequence[Any], names: Sequence[str]) -> InvalidArgument:
        """For what is of another table."""
        if Closing.table in others:
            return self._refuse(option, "uses recovery.c, which is known in close and requeue only")
        other = next(iter(others))
        what = f"{' and '.join(names)} of {other}" if names else str(other)
        above = self._mapper.inherits if self._mapper is not None else None
        while above is not None and above.local_table is not other:
            above = above.inherits
        return self._refuse(
            option,
            f"reads {what}; a watch reads and sets its own table, {self._table.fullname}",
            "ask for rows of other tables by exists or a scalar subquery"
            if above is None
            else f"declare it on {above.class_.__qualname__}, whose table that is, or give"
            f" {self._table.fullname} such a column",
        )

    def _check_froms(self, option: str, element: Any, whole: sa.Select[Any], closing: bool) -> None:
        """Refuses what is of neither the row nor the closing."""
        known = [self._row, Closing.table] if closing else [self._row]
        inside = list(visitors.iterate(element))
        others = [each for each in whole.get_final_froms() if each not in known]
        if others:
            columns = (each for each in inside if isinstance(each, sa.ColumnClause))
            raise self._foreign(
                option, others, sorted({each.name for each in columns if each.table in others})
            )
        for select in (each for each in inside if isinstance(each, sa.Select)):
            for each in select.get_final_froms():
                name = getattr(each, "name", None)
                if name in ("r", "c") and each not in (self._row, Closing.table):
                    raise self._refuse(
                        option,
                        f"has a subquery over a table {name}, which hides the {name} of the watch",
                        "give it another name, by alias() or sqlalchemy.orm.aliased",
                    )

    def _check_instant(self, option: str, element: Any) -> None:
        """Refuses a column that is a point in time in some zone or unit only."""
        if not isinstance(element, sa.Column):
            return
        type_ = element.type
        while isinstance(type_, sa.TypeDecorator):
            type_ = type_.impl_instance
        if (isinstance(type_, sa.DateTime) and not type_.timezone) or isinstance(type_, sa.Date):
            raise self._refuse(
                option,
                f"is {element.name}, which has no time zone",
                f'say which one it means: sqlalchemy.func.timezone("UTC", {element.name})',
            )
        if isinstance(type_, (sa.Integer, sa.Numeric)):
            raise self._refuse(
                option,
                f"is {element.name}, a number",
                f"of milliseconds make sqlalchemy.func.to_timestamp({element.name} / 1000.0)",
            )

    def _check_word(self, option: str, text: str) -> None:
        """Refuses a word that is meant as a text: ``"failed"`` is SQL, a column of that name."""
        if (
            re.fullmatch(r"[^\W\d]\w*", text)
            and text.lower() not in _CONSTANTS
            and not any(text in (each.name, each.name.upper()) for each in self._table.c)
        ):
            raise self._refuse(
                option,
                f"is {text!r}: SQL text, and {self._table.fullname} has no such column",
                f'for the text write sqlalchemy.literal({text!r}) or "{text!r}"',
            )


def _on_one_line(text: str) -> str:
    """Without the line breaks between the clauses of a subquery."""
    if "--" in text or "$" in text:
        return text  # a comment or a quotation of the host's own: leave it
    parts = re.split(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""", text)
    return "".join(
        part if n % 2 else re.sub(r"\s*\n\s*", " ", part) for n, part in enumerate(parts)
    ).strip()


def _is_loose(column: sa.Column[Any]) -> bool:
    """Whether it is of no table: of a mixin, or of a class whose body is still read."""
    return cast(Any, column).table is None


def _is_sql(value: Any) -> bool:
    return isinstance(value, sa.ClauseElement) or hasattr(value, "__clause_element__")


def _type_value(column: Any, value: Any) -> None:
    """Gives a value the type of its column, which it may not have known: in the body of a class
    a column whose type is said by its annotation has none yet."""
    if not isinstance(column, sa.Column) or not isinstance(value, BindParameter):
        return
    several = value.expanding and isinstance(value.value, (list, tuple))
    sample: Any = next(iter(cast(Any, value.value)), None) if several else value.value
    if isinstance(value.type, sa.types.NullType) or isinstance(sample, Enum):
        value.type = column.type.coerce_compared_value(operators.eq, sample)
