"""Random histories of events: twenty writers, every kind of consumer, and all that can happen to them.

RECOVERY_EVENTS_SEEDS     which (1): ``7``, ``3,8``, ``100-199``; odd ones have a replica, which may be promoted
RECOVERY_EVENTS_SECONDS   of faults in each (4)
RECOVERY_EVENTS_FIGURES   a file to append each one's figures to

What counts as a violation stands in verdict.py.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaos.events.story import SETTINGS, Story
from recovery import schema
from recovery.demo.cluster import Cluster

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(240)]

SECONDS = float(os.environ.get("RECOVERY_EVENTS_SECONDS", "4"))


def seeds() -> list[int]:
    found: list[int] = []
    for word in os.environ.get("RECOVERY_EVENTS_SEEDS", "1").split(","):
        first, _, last = word.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize("seed", seeds())
def test_p9_events(
    cluster: Any, seed: int, node_modules: Path | None, record_property: Callable[..., None]
) -> None:
    """Every committed transition, at least once, in order; nothing else."""
    begun = time.monotonic()
    with ExitStack() as stack:
        server = stack.enter_context(Cluster(cluster.major, settings=SETTINGS))
        schema.upgrade(server.create_database("store"))
        replica = None
        if seed % 2:
            replica = server.replica("standby", {"hot_standby_feedback": "on"})
            with psycopg.connect(server.dsn(), autocommit=True) as conn:
                conn.execute("alter system set synchronous_standby_names = '*'")
                conn.execute("select pg_reload_conf()")
        story = stack.enter_context(
            Story(server, replica, "store", seed, SECONDS, node_modules=node_modules)
        )
        try:
            story.run()
            verdict = story.judge()
        except BaseException:
            print(story, story.log(), sep="\n")
            raise
        figures = {
            "seed": seed, "done": story.done, "found": verdict.figures,
            "violations": verdict.violations, "seconds": round(time.monotonic() - begun, 1),
        }  # fmt: skip
        record_property("figures", json.dumps(figures))  # what xdist can send
        if path := os.environ.get("RECOVERY_EVENTS_FIGURES"):
            with Path(path).open("a") as file:
                file.write(json.dumps(figures) + "\n")
        if verdict.violations:
            print(story, story.log(), sep="\n")
        assert not verdict.violations, "\n".join([str(story), *verdict.violations[:40]])
        assert verdict.figures["transitions"] > 100
