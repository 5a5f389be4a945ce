"""The declaration of a watch, beside the columns that it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sqlalchemy as sa

from recovery.declared.compiling import Compiler, interval, topics
from recovery.types import Scope

if TYPE_CHECKING:
    from sqlalchemy.sql import roles
    from sqlalchemy.sql.elements import SQLCoreOperations

__all__ = ["Expression", "Sets", "Watch"]

#: SQL text over ``r``; an expression of SQLAlchemy; or what makes one of the model or table.
Expression: TypeAlias = (
    "str | SQLCoreOperations[Any] | roles.ExpressionElementRole[Any] | Callable[[Any], Any]"
)
#: Column -> `Expression`, or a value that is no text.
Sets: TypeAlias = "Mapping[Any, Any] | Callable[[Any], Mapping[Any, Any]]"

_SUPERVISED = ("kind", "activity", "timeout", "hold", "child")


@dataclass(frozen=True, kw_only=True, eq=False)
class Watch:
    """Declares a watch: as ``__recovery__`` of a model, or as ``info["recovery"]`` of a Table.

    The options are those of `attach` and, from `kind` on, of `supervise`. An expression is

    - one of SQLAlchemy, over columns of the model: ``status == "running"``
    - a function that makes one, of the model or the Table: ``lambda m: m.status == "running"``
    - a str: SQL text, as `attach` takes it; a text is ``sqlalchemy.literal("failed")``

    In ``close`` and ``requeue`` also a value that is no str: None, a bool, a number, a member of
    an Enum, a datetime. Their keys are names of attributes or columns, or these themselves.
    """

    # the row
    open: Expression
    close: Sets
    name: str | None = None
    # its group
    group: Expression | None = None
    family: str | None = None
    parent: Expression | None = None
    position: int = 100
    order: Expression | Sequence[Expression] | None = None
    # its events
    events: Literal["all", "closed"] = "all"
    image: Expression | None = None
    topic: str | None = None
    failed_topics: Sequence[str] | None = None
    idle_topics: Sequence[str] | None = None
    # its time
    started: Expression | None = None
    launch_grace: str | timedelta | None = None
    unowned: str | timedelta | None = None
    only: Expression | None = None
    # its owner
    owner: Expression | None = None
    alive: Expression | None = None
    alive_lease: str | timedelta | None = None
    # another try
    requeue: Sets | None = None
    attempts: Expression | None = None
    max_attempts: int = 3
    free_reasons: Sequence[str] | None = None
    not_before: Expression | None = None
    backoff: str | timedelta | None = None
    max_backoff: str | timedelta | None = None
    # the host
    search_path: str | None = None
    # the watchdog
    kind: Expression | None = None
    activity: Expression | None = None
    timeout: Expression | None = None
    hold: Expression | None = None
    child: Expression | None = None
    cancel: Scope = "row"

    def compile(
        self,
        table: sa.Table,
        *,
        model: type[Any] | None = None,
        schemas: Mapping[str | None, str | None] | None = None,
    ) -> dict[str, Any]:
        """The arguments of `attach`, all expressions as SQL text; what is default is left out.

        Args:
            table: the table that is watched.
            model: the class that is mapped to it, if there is one.
            schemas: as SQLAlchemy's ``schema_translate_map``. Tables of subqueries without a
                schema are taken from ``public``, unless this says where else.

        Raises:
            InvalidArgument: an expression can't be written as SQL text (RC010).
        """
        compiler = Compiler(table, model, schemas)
        return _given(
            open=compiler.condition("open", self.open),
            close=compiler.sets("close", self.close),
            name=self.name,
            group=compiler.expression("group", self.group),
            family=self.family,
            parent=compiler.expression("parent", self.parent),
            position=None if self.position == 100 else self.position,
            order=compiler.list("order", self.order),
            events=None if self.events == "all" else self.events,
            image=compiler.expression("image", self.image),
            topic=self.topic,
            failed_topics=topics("failed_topics", self.failed_topics),
            idle_topics=topics("idle_topics", self.idle_topics),
            started=compiler.instant("started", self.started),
            launch_grace=interval(self.launch_grace),
            unowned=interval(self.unowned),
            only=compiler.expression("only", self.only),
            requeue=None if self.requeue is None else compiler.sets("requeue", self.requeue),
            attempts=compiler.column("attempts", self.attempts),
            max_attempts=None if self.max_attempts == 3 else self.max_attempts,
            owner=compiler.expression("owner", self.owner),
            alive=compiler.expression("alive", self.alive),
            alive_lease=interval(self.alive_lease),
            free_reasons=topics("free_reasons", self.free_reasons),
            not_before=compiler.column("not_before", self.not_before),
            backoff=interval(self.backoff),
            max_backoff=interval(self.max_backoff),
            search_path=self.search_path,
        )

    def compile_supervision(
        self,
        table: sa.Table,
        *,
        model: type[Any] | None = None,
        schemas: Mapping[str | None, str | None] | None = None,
    ) -> dict[str, Any] | None:
        """The arguments of `supervise`, as `compile`; None: the watchdog is not asked for."""
        if self.cancel == "row" and all(getattr(self, name) is None for name in _SUPERVISED):
            return None
        compiler = Compiler(table, model, schemas)
        return _given(
            kind=compiler.expression("kind", self.kind),
            activity=compiler.instant("activity", self.activity),
            timeout=compiler.expression("timeout", self.timeout),
            hold=compiler.expression("hold", self.hold),
            child=compiler.expression("child", self.child),
            cancel=None if self.cancel == "row" else self.cancel,
        )

    def __repr__(self) -> str:
        """What was given."""
        given = ((f, getattr(self, f.name)) for f in fields(self))
        said = [f"{f.name}={value!r}" for f, value in given if value is not f.default]
        return f"recovery.Watch({', '.join(said)})"


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
