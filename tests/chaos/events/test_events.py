"""Random histories of events: twenty writers, every kind of consumer, and all that can happen to them.

RECOVERY_EVENTS_SEEDS     which (1): ``7``, ``3,8``, ``100-199``; odd ones have a replica, which may be promoted
RECOVERY_EVENTS_SECONDS   of faults in each (3)
RECOVERY_EVENTS_FIGURES   a file to append each one's figures to
RECOVERY_EVENTS_KEEP      a folder for the journals of those that fail

What counts as a violation stands in verdict.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaos.events.story import SETTINGS, Story
from chaos.events.verdict import Verdict
from recovery import schema
from recovery.cluster import Cluster

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(240)]

SECONDS = float(os.environ.get("RECOVERY_EVENTS_SECONDS", "3"))
#: Nobody has asked for histories: of the two that are less common a small one each.
SMALL = "RECOVERY_EVENTS_SEEDS" not in os.environ


History = Callable[..., Verdict]


@pytest.fixture
def history(
    cluster: Any, node_modules: Path | None, record_property: Callable[..., None]
) -> History:
    """``history(seed, replica=False, **options of Story)``: runs it; it must be as it should."""

    def run(seed: int, *, replica: bool = False, **options: Any) -> Verdict:
        begun = time.monotonic()
        with ExitStack() as stack:
            server = stack.enter_context(Cluster(cluster.major, settings=SETTINGS))
            schema.upgrade(server.create_database("store"))
            standby = None
            if replica:
                standby = server.replica("standby", {"hot_standby_feedback": "on"})
            if replica and not options.get("loses"):
                with psycopg.connect(server.dsn(), autocommit=True) as conn:
                    conn.execute("alter system set synchronous_standby_names = '*'")
                    conn.execute("select pg_reload_conf()")
            story = stack.enter_context(
                Story(server, standby, "store", seed, SECONDS, node_modules=node_modules, **options)
            )
            try:
                story.run()
                verdict = story.judge()
            except BaseException:
                with contextlib.suppress(psycopg.Error):
                    story.look_around()
                print(story, story.log(), sep="\n")
                raise
            figures = {
                "seed": seed, "options": {key: str(value) for key, value in options.items()}, "done": story.done, "found": verdict.figures,
                "violations": verdict.violations, "seconds": round(time.monotonic() - begun, 1),
            }  # fmt: skip
            record_property("figures", json.dumps(figures))  # what xdist can send
            if path := os.environ.get("RECOVERY_EVENTS_FIGURES"):
                with Path(path).open("a") as file:
                    file.write(json.dumps(figures) + "\n")
            if verdict.violations:
                print(story, story.log(), sep="\n")
                keep(story)
            assert not verdict.violations, "\n".join([str(story), *verdict.violations[:40]])
            assert verdict.figures["transitions"] > 100
        return verdict

    return run


def keep(story: Story) -> None:
    """The journals of a history that failed, where somebody asks for them."""
    if path := os.environ.get("RECOVERY_EVENTS_KEEP"):
        shutil.copytree(
            story.folder, Path(path) / f"{story.seed}-{os.getpid()}", dirs_exist_ok=True
        )


def seeds(default: str) -> list[int]:
    found: list[int] = []
    for word in os.environ.get("RECOVERY_EVENTS_SEEDS", default).split(","):
        first, _, last = word.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize("seed", seeds("1"))
def test_p9_events(seed: int, history: History) -> None:
    """Every committed transition, at least once, in order; nothing else."""
    history(seed, replica=seed % 2 == 1, truncates=seed % 3 == 1)


@pytest.mark.parametrize("seed", seeds("1"))
def test_p9_a_replica_that_lost_its_tail_is_promoted(seed: int, history: History) -> None:
    """What still exists comes at least once, also where it has the id of what was lost."""
    small = {"writers": 6, "kinds": {"sync", "exact", "bus", "sse", "broker"}}
    options = small if SMALL else {}
    found = history(seed, replica=True, loses=True, truncates=seed % 3 == 2, **options)
    assert found.figures["lost, and had been told"]


@pytest.mark.parametrize("seed", seeds("1"))
def test_p9_old_events_are_dropped_meanwhile(seed: int, history: History) -> None:
    """Never past an active consumer; an abandoned one gets a gap, which names what is missing."""
    small = {"writers": 6, "kinds": {"sql", "sse", "lazy"}}
    options = small if SMALL else {}
    found = history(seed, drops=True, truncates=seed % 3 == 0, **options)
    assert found.figures["lazy: gaps"]
    assert found.figures["lazy: dropped"]


def test_node_takes_part(node: Path | str) -> None:
    """Else the histories above are without it."""
    if isinstance(node, str):
        pytest.skip(node)
    assert (node / "pg").is_dir()
