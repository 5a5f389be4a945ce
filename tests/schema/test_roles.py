"""The cluster-wide roles: who may install, and what is left of them. Servers of their own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import psycopg
import pytest

from recovery import errors, schema
from recovery.cluster import Cluster
from schema.catalog import catalog

#: Its runner's name has room for a part of it only.
LONG = "somebody_whose_name_is_as_long_as_names_may_get_in_postgresql"
TAGS = {LONG: f"{LONG[:16]}_{hashlib.md5(LONG.encode()).hexdigest()[:16]}"}


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Cluster]:
    """A server without our roles: those of the other tests belong to their template."""
    if not isinstance(cluster, Cluster):
        pytest.skip("needs a server of its own")
    with Cluster(cluster.major) as own:
        execute(own.dsn(), "create role plain login", "create role maker login createrole")
        execute(own.dsn(), f"create role {LONG} login")
        yield own


@pytest.fixture
def database(server: Cluster) -> Iterator[str]:
    dsn = server.create_database("app")
    yield dsn
    server.drop_database("app")
    # dropdb also forgets what was granted in it; the roles may go.
    for role in roles(server.dsn()):
        execute(server.dsn(), f"drop role {role}")


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def roles(dsn: str) -> list[str]:
    query = "select rolname from pg_roles where rolname ~ '^recovery_' order by 1"
    with psycopg.connect(dsn) as conn:
        return [row[0] for row in conn.execute(query)]


def as_role(dsn: str, role: str) -> str:
    return dsn.replace("postgres@", f"{role}@")


def all_of(owner: str) -> list[str]:
    """The roles of a database whose agent store belongs to `owner`: its runner too."""
    shared = ("listener", "owner", "runner", "server")
    return sorted(f"recovery_{name}" for name in (*shared, f"runner_{owner}"))


ALL = all_of("postgres")


def test_the_roles_go_with_the_last_database_that_uses_them(server: Cluster, database: str) -> None:
    other = server.create_database("other")
    try:
        schema.upgrade(database)
        schema.upgrade(other)
        assert roles(database) == ALL
        schema.downgrade(database)
        assert roles(database) == ALL
        schema.check(other)
        schema.downgrade(other)
        assert roles(database) == []
    finally:
        server.drop_database("other")


def test_databases_that_are_migrated_at_the_same_moment(server: Cluster) -> None:
    names = [f"same_{n}" for n in range(4)]
    targets = [server.create_database(name) for name in names]
    failures: list[BaseException] = []
    try:
        for step in (schema.upgrade, schema.downgrade):

            def run(target: str, step=step) -> None:  # type: ignore[no-untyped-def]
                try:
                    step(target)
                except BaseException as error:
                    failures.append(error)

            workers = [threading.Thread(target=run, args=[target]) for target in targets]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        assert failures == []
        assert roles(server.dsn()) == []
    finally:
        for name in names:
            server.drop_database(name)


@pytest.mark.parametrize("role", ["plain", "maker", LONG])
def test_without_the_privilege_nothing_happens_and_the_error_says_what_to_do(
    database: str, role: str
) -> None:
    before = catalog(database)
    with pytest.raises(errors.PermissionDenied) as caught:
        schema.upgrade(as_role(database, role))
    assert catalog(database) == before
    assert roles(database) == []
    message = str(caught.value)
    assert message.startswith("permission denied for database app; nothing was changed; let an")
    assert "\n" not in message
    # What it says is enough.
    statements = message.partition("administrator run ")[2].partition(" or run this")[0]
    assert f"grant recovery_owner to {role};" in statements
    runner = f"recovery_runner_{TAGS.get(role, role)}"
    assert (
        f"create role {runner}; grant recovery_runner to {runner};"
        f" grant {runner} to {role} with admin option;" in statements
    )
    execute(database, statements)
    schema.upgrade(as_role(database, role))
    schema.check(database)
    schema.upgrade(as_role(database, role))
    schema.downgrade(as_role(database, role))


def test_a_role_that_may_create_roles_installs_alone(database: str) -> None:
    before = catalog(database)
    execute(database, "grant create on database app to maker")
    granted = catalog(database)
    maker = as_role(database, "maker")
    schema.upgrade(maker)
    assert roles(database) == all_of("maker")
    # Another member of the owner, here a superuser, may go on with it.
    schema.downgrade(database, "agent_store@base")
    schema.upgrade(maker)
    schema.downgrade(maker)
    assert roles(database) == []
    assert catalog(database) == granted
    execute(database, "revoke create on database app from maker")
    assert catalog(database) == before


def test_a_stranger_can_neither_upgrade_nor_remove_nor_look(database: str) -> None:
    schema.upgrade(database)
    before = catalog(database)
    stranger = as_role(database, "plain")
    for step in (schema.upgrade, schema.downgrade):
        with pytest.raises(errors.PermissionDenied, match="grant recovery_owner to plain"):
            step(stranger)
    for look in (schema.check, schema.current):
        with pytest.raises(errors.PermissionDenied, match="recovery_listener"):
            look(stranger)
    assert catalog(database) == before
    for role in ("recovery_listener", "recovery_server"):
        execute(database, f"grant {role} to plain")
        schema.check(stranger)
        assert schema.current(stranger)["managed"] == "recovery"
        execute(database, f"revoke {role} from plain")
