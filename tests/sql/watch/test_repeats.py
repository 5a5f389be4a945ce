"""recovery.attach twice: the same specification does nothing, another one is RC007."""

from __future__ import annotations

from sql.jobs import Connection, attach, fingerprint, refused


def test_the_same_specification_again_does_nothing(jobs: Connection) -> None:
    before = fingerprint(jobs, "app.job")
    assert attach(jobs) == "app.job"
    assert fingerprint(jobs, "app.job") == before


def test_another_specification_is_refused(jobs: Connection) -> None:
    with refused("RC007", "app.job.*another specification"):
        attach(jobs, open="status = 'queued'")


def test_a_name_is_given_once(jobs: Connection) -> None:
    jobs.execute("create table app.other (id int primary key, status text, error text)")
    with refused("RC007", "app.job"):
        attach(jobs, "app.other", name="app.job")


def test_after_detach_another_specification_is_welcome(jobs: Connection) -> None:
    jobs.execute("select recovery.detach('app.job')")
    assert attach(jobs, name="jobs", open="status = 'queued'") == "jobs"
