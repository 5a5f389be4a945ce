"""What the agent store's rows look like now."""

from __future__ import annotations

from collections.abc import Sequence

from recovery.calls.core import Call

__all__ = ["Row", "rows"]

#: Table and id of a row.
Row = tuple[str, str]


def rows(wanted: Sequence[Row]) -> Call[dict[Row, str]]:
    """Parts, messages, turns, sessions and holds as JSON, those that are there, in one statement.

    Parts and messages as opencode shows them: their data with the ids; a part with the time of
    its last change, ``{"part": …, "time": …}``; turns of opencode 2 with id and type. Sessions
    and holds: all columns.
    """

    def ids(table: str) -> list[str]:
        return sorted({id_ for of, id_ in wanted if of == table})

    return Call(
        "select 'part', p.id, jsonb_build_object('part', case when jsonb_typeof(p.data) = 'object'"
        " then p.data else '{}' end || jsonb_build_object('id', p.id, 'messageID', p.message_id,"
        " 'sessionID', p.session_id), 'time', p.time_updated)::text"
        " from agent.part as p where p.id = any(%(parts)s::text[])"
        " union all"
        " select 'message', m.id, (case when jsonb_typeof(m.data) = 'object' then m.data"
        " else '{}' end || jsonb_build_object('id', m.id, 'sessionID', m.session_id))::text"
        " from agent.message as m where m.id = any(%(messages)s::text[])"
        " union all"
        " select 'session_message', t.id, (case when jsonb_typeof(t.data) = 'object' then t.data"
        " else '{}' end || jsonb_build_object('id', t.id, 'type', t.type))::text"
        " from agent.session_message as t where t.id = any(%(turns)s::text[])"
        " union all"
        " select 'session', s.id, to_jsonb(s)::text"
        " from agent.session as s where s.id = any(%(sessions)s::text[])"
        " union all"
        " select 'hold', h.id, to_jsonb(h)::text"
        " from agent.hold as h where h.id = any(%(holds)s::text[])",
        {
            "parts": ids("part"),
            "messages": ids("message"),
            "turns": ids("session_message"),
            "sessions": ids("session"),
            "holds": ids("hold"),
        },
        lambda found: {(row[0], row[1]): row[2] for row in found},
    )
