"""Who may see what: the host says it, and every wrong argument is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import recovery
from helpers import wait_for
from python.asgi.clients import Curl
from python.asgi.conftest import Serve
from recovery.asgi import Access, Hub, access, anyone

#: Token -> the groups of its tenant.
TENANTS = {"red": ["r1", "r2"], "blue": ["b1"], "new": []}


def by_groups(request: Request) -> Access:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token == "root":
        return True
    if token not in TENANTS:
        raise HTTPException(401, "who are you?", {"www-authenticate": "Bearer"})
    return TENANTS[token]


async def by_question(request: Request) -> Access:
    groups = by_groups(request)
    if isinstance(groups, bool):
        return groups

    async def allowed(group: str | None) -> bool:
        assert isinstance(groups, list)
        return group in groups

    return allowed


def by_plain_question(request: Request) -> Access:
    groups = by_groups(request)
    return groups if isinstance(groups, bool) else lambda group: group in groups  # type: ignore


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("authorize", [by_groups, by_question, by_plain_question])
def test_a_tenant_sees_its_own_groups_only(
    dsn: str, jobs: Any, serve: Serve, authorize: Callable[[Request], Access | Awaitable[Access]]
) -> None:
    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn).events(authorize=authorize))
    with (
        Curl(url, bearer("red")) as red,
        Curl(url, bearer("blue")) as blue,
        Curl(url, bearer("new")) as new,
        Curl(url, bearer("root")) as root,
        Curl(f"{url}/?group=r2", bearer("red")) as one,
    ):
        for curl in (red, blue, new, root, one):
            curl.connected()
        for group in ("r1", "b1", "x", "r2"):
            jobs(owner.epoch, session=group)
        recovery.boot(dsn, "api-1")
        root.wait_rows(8)
        assert {f.data["group"] for f in red.wait_rows(4)} == {"r1", "r2"}
        assert {f.data["group"] for f in blue.wait_rows(2)} == {"b1"}
        assert {f.data["group"] for f in one.wait_rows(2)} == {"r2"}
        assert [len(curl.rows) for curl in (red, blue, new, root, one)] == [4, 2, 0, 8, 2]


@pytest.mark.parametrize("authorize", [by_groups, by_question, by_plain_question])
def test_a_group_of_another_tenant_is_refused(
    dsn: str, serve: Serve, authorize: Callable[[Request], Access | Awaitable[Access]]
) -> None:
    url = serve(Hub(dsn).events(authorize=authorize))
    with Curl(f"{url}/?group=r1&group=b1", bearer("red")) as curl:
        assert curl.ended().status == 403


def test_the_unauthorised_get_nothing(dsn: str, serve: Serve) -> None:
    hub = Hub(dsn)
    app = Starlette(
        routes=[
            Route("/raises", hub.events(authorize=by_groups)),
            Route("/false", hub.events(authorize=lambda request: False)),
            Route("/none", hub.agent_events(authorize=lambda request: None)),
            Route("/own", hub.events(authorize=lambda request: PlainTextResponse("go", 302))),
        ]
    )
    url = serve(app, hub)
    for path, status in (("raises", 401), ("false", 403), ("none", 403), ("own", 302)):
        with Curl(f"{url}/{path}?after=nonsense") as curl:
            assert curl.ended().status == status, path
            assert "text/event-stream" not in str(curl.head)
    with Curl(serve(hub.events(authorize=by_groups))) as alone:  # nobody around it
        assert alone.ended().status == 401
        assert "www-authenticate: Bearer" in alone.head
    assert hub.connected == 0


def test_an_answer_that_is_none_lets_nobody_in(dsn: str, serve: Serve) -> None:
    wrong: list[Any] = ["r1", b"r1", 7]
    for each in wrong:
        name = type(each).__name__
        with pytest.raises(recovery.InvalidArgument, match=f"authorize returned {name}"):
            access.Allowed(each)
    url = serve(Hub(dsn).events(authorize=lambda request: "r1"))
    with Curl(url) as curl:
        assert curl.ended().status == 500


def test_answers_about_a_group_are_asked_again(
    dsn: str, jobs: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shared or revoked while a stream is open counts."""
    monkeypatch.setattr(access, "_HOLDS", 0.3)
    owner = recovery.boot(dsn, "api-1")
    mine = {"a"}
    url = serve(Hub(dsn).events(authorize=lambda request: lambda group: group in mine))
    with Curl(url) as curl:
        curl.connected()
        for group in ("a", "b", "a"):
            jobs(owner.epoch, session=group)
        curl.wait_rows(2)
        mine.clear()
        mine.add("b")

        def later() -> bool:
            jobs(owner.epoch, session="b")
            return any(frame.data["group"] == "b" for frame in curl.rows)

        wait_for(later, interval=0.1)
        count = len(curl.rows)
        jobs(owner.epoch, session="a")
        jobs(owner.epoch, session="b")
        curl.wait_rows(count + 1)
        assert [frame.data["group"] for frame in curl.rows].count("a") == 2


@pytest.mark.parametrize(
    ("query", "header", "words"),
    [
        ("?grupp=s1", None, "unknown parameter 'grupp'; known: watch, group, kind, topic, reason"),
        ("?session=s1", None, "unknown parameter 'session'"),
        ("?group=", None, "parameter 'group' is empty"),
        ("?kind=%00", None, "NUL"),
        ("?kind=closed&kind=close", None, "there are no events of kind 'close'"),
        ("?group=a%ED%A0%80", None, None),  # half of a surrogate pair becomes a character
        ("?after=x", None, "'x' is no position"),
        ("?after=-1", None, "'-1' is no position"),
        ("?after=", None, "'' is no position"),
        ("?after=1~", None, "is no position"),
        ("?after=9999999999999999999", None, "is no position"),
        ("?after=1~" + "1." * 1000 + "1", None, "is no position"),
        ("", "evt_12", "'evt_12' is no position"),
        ("?after=0", "nonsense", "'nonsense' is no position"),
    ],
)
def test_wrong_arguments(
    dsn: str, serve: Serve, query: str, header: str | None, words: str | None
) -> None:
    url = serve(Hub(dsn).events(authorize=anyone))
    with Curl(f"{url}/{query}", {} if header is None else {"Last-Event-ID": header}) as curl:
        if words is None:
            curl.connected()
            return
        assert curl.status == 400
        assert "content-type: application/json" in curl.head
        length = next(line for line in curl.head if line.startswith("content-length"))
        curl.ended()
    body = curl_body(f"{url}/{query}", header)
    assert words in body["error"]
    assert length


def curl_body(url: str, header: str | None) -> Any:
    import httpx

    return httpx.get(url, headers={} if header is None else {"Last-Event-ID": header}).json()


def test_the_hosts_own_parameters_are_its_own(dsn: str, serve: Serve) -> None:
    hub = Hub(dsn)
    stream = hub.events(
        authorize=lambda request: request.query_params.get("token") == "t", parameters=["token"]
    )
    url = serve(stream)
    with Curl(f"{url}/?token=t&kind=closed") as curl:
        curl.connected()
    with Curl(f"{url}/?token=x") as curl:
        assert curl.ended().status == 403


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT"])
def test_other_methods(dsn: str, serve: Serve, method: str) -> None:
    import httpx

    answer = httpx.request(method, serve(Hub(dsn).events(authorize=anyone)))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_a_listener_needs_no_more_than_its_role(
    dsn: str, conn: psycopg.Connection[Any], cluster: Any, jobs: Any, serve: Serve
) -> None:
    import os

    from psycopg.conninfo import make_conninfo

    role = f"reader_{os.getpid()}"
    conn.execute(f"create role {role} login password 'x'".encode())
    try:
        reader = make_conninfo(dsn, user=role, password="x")
        refused = serve(Hub(reader).events(authorize=anyone))
        with Curl(refused) as curl:
            assert curl.ended().status == 500
        conn.execute(f"grant recovery_listener to {role}".encode())
        owner = recovery.boot(dsn, "api-1")
        url = serve(Hub(reader).events(authorize=anyone))
        with Curl(url) as curl:
            curl.connected()
            jobs(owner.epoch)
            curl.wait_rows(1)
    finally:
        conn.execute(f"drop role {role}".encode())
