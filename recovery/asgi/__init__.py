"""Events as server-sent events (SSE): ASGI applications to mount. Needs ``pg-recovery[asgi]``.

    hub = recovery.asgi.Hub(engine)  # one listener for all clients of this process
    app.add_route("/jobs/events", hub.events(authorize=user_of, watch="public.job"))
    app.add_route("/event", hub.agent_events(authorize=sessions_of))

A client that reconnects with ``Last-Event-ID`` (as EventSource does by itself) or ``?after=``
gets what it has missed, and then what comes.
"""

from __future__ import annotations

try:
    import starlette
except ImportError as error:  # pragma: no cover
    raise ImportError("recovery.asgi needs starlette: pip install 'pg-recovery[asgi]'") from error

from recovery.asgi.access import Access, Authorize, anyone
from recovery.asgi.hub import Hub
from recovery.asgi.stream import Stream

del starlette

__all__ = ["Access", "Authorize", "Hub", "Stream", "anyone"]
