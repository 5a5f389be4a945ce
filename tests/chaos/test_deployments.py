"""Random histories of real deployments: application servers, poolers, a database that stalls.

RECOVERY_CHAOS_SEEDS     which (0-2): ``7``, ``3,8``, ``100-199``
RECOVERY_CHAOS_SECONDS   of faults in each (8)
RECOVERY_CHAOS_FIGURES   a file to append each one's figures to

What counts as a violation stands in verdict.py.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.deployed import Story
from recovery import schema
from recovery.cluster import Cluster

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(240)]

SECONDS = float(os.environ.get("RECOVERY_CHAOS_SECONDS", "8"))
_numbers = itertools.count(1)


def seeds() -> list[int]:
    found: list[int] = []
    for word in os.environ.get("RECOVERY_CHAOS_SEEDS", "0-2").split(","):
        first, _, last = word.partition("-")
        found += (
            range(int(word[1:])) if word[0] == "x" else range(int(first), int(last or first) + 1)
        )
    return found


@pytest.fixture(scope="module")
def shaken(cluster: Any) -> Iterator[Cluster]:
    """A server for these tests alone, with a template of the store."""
    with Cluster(cluster.major) as server:
        schema.upgrade(server.create_database("store"))
        yield server


@pytest.mark.parametrize("seed", seeds())
def test_p1_p2_p5_p15_deployments(
    shaken: Cluster, seed: int, record_property: Callable[..., None]
) -> None:
    """0 live rows closed, 0 orphans left."""
    dsn = shaken.create_database(f"d{next(_numbers)}", "store")
    begun = time.monotonic()
    with Story(shaken, dsn, seed, SECONDS) as story:
        try:
            story.run()
            verdict = story.judge()
        except BaseException:
            print(story, story.log(), sep="\n")
            raise
        figures = {
            "seed": seed, "story": str(story), "done": story.done, "found": verdict.figures,
            "slowest": round(verdict.slowest, 2), "recovered": round(story.recovered, 2),
            "violations": verdict.violations, "seconds": round(time.monotonic() - begun, 1),
        }  # fmt: skip
        record_property("figures", json.dumps(figures))  # what xdist can send
        if path := os.environ.get("RECOVERY_CHAOS_FIGURES"):
            with Path(path).open("a") as file:
                file.write(json.dumps(figures) + "\n")
        if verdict.violations:
            print(story, story.log(), sep="\n")
        assert not verdict.violations, "\n".join([str(story), *verdict.violations])
    shaken.drop_database(dsn.split("?")[0].rpartition("/")[2])
