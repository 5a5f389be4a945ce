"""recovery.attach leaves the session that calls it as it was."""

from __future__ import annotations

from sql.jobs import Connection, attach, value


def test_the_role_of_the_session_stays(app: Connection) -> None:
    app.execute(
        "do $$ begin create role recovery_test_app nologin;"
        " exception when duplicate_object then null; end $$"
    )
    app.execute("grant recovery_owner to recovery_test_app")
    app.execute("alter schema app owner to recovery_test_app")
    app.execute("alter table app.job owner to recovery_test_app")
    app.execute("select recovery.permit('recovery_test_app')")
    app.execute("set role recovery_test_app")
    try:
        attach(app)
        assert value(app, "select current_user") == "recovery_test_app"
    finally:
        app.execute("reset role")
        app.execute("select recovery.detach('app.job')")
        app.execute("reassign owned by recovery_test_app to current_user")
        app.execute("drop owned by recovery_test_app")
        app.execute("drop role recovery_test_app")
        app.execute("drop owned by recovery_runner_recovery_test_app cascade")
        app.execute("drop role recovery_runner_recovery_test_app")


def test_no_temporary_object_stays(app: Connection) -> None:
    attach(app, group="id", order="id", only="true", started="now()")
    assert value(app, "select count(*) from pg_class where relnamespace = pg_my_temp_schema()") == 0
