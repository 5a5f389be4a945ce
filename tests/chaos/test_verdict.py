"""The checker finds what it is there for: each rule has a history that breaks it, and one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.verdict import Facts, Life, judge

EPOCH, PID = 7, 100


def verdict(
    reason: str | None,
    ended: float | None = None,
    *,
    life: Life | None = None,
    troubles: list[tuple[str, float, float]] | None = None,
    said: list[dict[str, Any]] | None = None,
    row: dict[str, Any] | None = None,
    closings: list[dict[str, Any]] | None = None,
) -> list[str]:
    """What is found of one epoch that booted at 0 and opened row 1."""
    facts = Facts(3.0, 0.5, 0.3, {PID: life or Life(PID, seen=100.0)}, troubles or [])
    journal = [
        {"at": 0.0, "pid": PID, "what": "booted", "epoch": EPOCH},
        {"at": 1.0, "pid": PID, "what": "opened", "id": 1, "epoch": EPOCH},
        *(said or []),
    ]
    closed = {"kind": "closed", "key": "1", "server_epoch": EPOCH, "at": ended, "reason": reason}
    if closings is None:
        closings = [] if ended is None else [{**closed, "detector": "sweep:x"}]
    else:
        closings = [{**closed, **one} for one in closings]
    state = "running" if ended is None else "failed"
    return judge(
        facts,
        journal,
        [{"epoch": EPOCH, "pid": PID, "reason": reason, "ended": ended}],
        [row or {"id": 1, "status": state, "server_epoch": EPOCH}],
        closings,
    ).violations


def stopped(begin: float, end: float) -> Life:
    return Life(PID, seen=100.0, stops=[[begin, end]])


def line(at: float, what: str, **more: Any) -> dict[str, Any]:
    return {"at": at, "pid": PID, "what": what, **more}


FAIR: dict[str, dict[str, Any]] = {
    "nothing": {"reason": None},
    "dead": {"reason": "process_dead", "ended": 20.2, "life": Life(PID, seen=20.0, gone=20.1)},
    "left": {"reason": "shutdown", "ended": 20.0, "said": [line(19.9, "leaving")]},
    "stopped for its lease": {"reason": "lease_expired", "ended": 23.0, "life": stopped(20, 24)},
    "starved for it": {
        "reason": "lease_expired",
        "ended": 23.5,
        "said": [line(24.0, "stood still", since=20.0)],
    },
    "stopped after a short stall": {
        "reason": "lease_expired",
        "ended": 23.0,
        "life": stopped(22.1, 24),
        "troubles": [("stall", 20.0, 22.0)],
    },
    "stopped when its connection was cut": {
        "reason": "connection_lost",
        "ended": 21.2,
        "life": stopped(20, 21.5),
    },
}
UNFAIR: dict[str, dict[str, Any]] = {
    "alive": {"reason": "process_dead", "ended": 20.0},
    "a sibling": {"reason": "superseded", "ended": 20.0},
    "a sibling that is stopped": {
        "reason": "superseded",
        "ended": 23.0,
        "life": stopped(20, 24),
    },
    "dead only later": {
        "reason": "superseded",
        "ended": 18.0,
        "life": Life(PID, seen=20.0, gone=20.1),
    },
    "not stopped": {"reason": "lease_expired", "ended": 20.0},
    "not for its lease": {"reason": "lease_expired", "ended": 21.0, "life": stopped(20, 22)},
    "long awake": {"reason": "lease_expired", "ended": 26.0, "life": stopped(20, 24)},
    "a stall": {"reason": "lease_expired", "ended": 24.5, "troubles": [("stall", 20.0, 24.0)]},
    "within a lease of a restart": {
        "reason": "lease_expired",
        "ended": 24.0,
        "life": stopped(20, 30),
        "troubles": [("restart", 21.0, 22.0)],
    },
    "a jump of the clock": {
        "reason": "connection_lost",
        "ended": 20.5,
        "life": stopped(19, 30),
        "troubles": [("clock", 20.0, 20.0)],
    },
    "shut down by nobody": {"reason": "shutdown", "ended": 20.0},
    "overwritten": {
        "reason": "process_dead",
        "ended": 20.2,
        "life": Life(PID, seen=20.0, gone=20.1),
        "said": [line(15.0, "finished", id=1)],
    },
    "no event": {
        "reason": "process_dead",
        "ended": 20.2,
        "life": Life(PID, seen=20.0, gone=20.1),
        "closings": [],
    },
    "two events": {
        "reason": "process_dead",
        "ended": 20.2,
        "life": Life(PID, seen=20.0, gone=20.1),
        "closings": [{"detector": "sweep:x"}, {"detector": "boot:8"}],
    },
    "closed before its owner's end": {
        "reason": "process_dead",
        "ended": 22.0,
        "life": Life(PID, seen=20.0, gone=20.1),
        "closings": [{"detector": "sweep:x", "at": 21.0}],
    },
    "of an epoch that lives": {
        "reason": None,
        "row": {"id": 1, "status": "failed", "server_epoch": EPOCH},
        "closings": [{"detector": "sweep:x", "at": 21.0, "reason": "superseded"}],
    },
    "opened as another": {"reason": None, "said": [line(2.0, "opened", id=1, epoch=8)]},
    "unowned": {"reason": None, "said": [line(2.0, "opened", id=1, epoch=None)]},
    "lost": {"reason": None, "said": [line(2.0, "opened", id=2, epoch=EPOCH)]},
    "told it is gone": {"reason": None, "said": [line(2.0, "gone", id=1)]},
}


@pytest.mark.parametrize("what", FAIR)
def test_fair(what: str) -> None:
    assert verdict(**FAIR[what]) == []


@pytest.mark.parametrize("what", UNFAIR)
def test_unfair(what: str) -> None:
    assert verdict(**UNFAIR[what]) != []
