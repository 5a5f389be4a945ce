"""What happened in a deployment, judged without our code: rows, events, and what the processes say.

The witnesses: each worker's journal (tests/deployments/journal.py), a watcher that looks which
processes live, and the list of what was done to them. The rules, from DESIGN's promises:

1.  An epoch may be ended only
    a)  when its process is dead (any reason), or has said that it leaves (``shutdown``), or
    b)  for silence (``lease_expired``, ``connection_lost``) while its process stood still: stopped by
        us, or without a pulse. It beats each third of its lease, so its silence is the stillness and
        at most that much more: for the lease, or for the grace where the loss of its connection
        convicts. And (promise 5) only a full lease after the database's last restart, stall of a
        lease or more, or jump of its clock: before that nobody's silence counts.
    A stall, a restart, a jump of the clock, a pooler that recycles, a lost connection, a boot of the
    same name convict nobody who lives (promises 2, 15). A process that demotes itself meanwhile
    fails its requests, and that is allowed; its rows stay until it is dead or was silent as in b).
2.  Recovery closes only rows of ended epochs, after their end, and each once, with its event.
3.  What a worker has finished stays ``done``, and no closing says otherwise. What one finishes
    after its row was closed finds nothing.
4.  With everything up again, no open row of a dead process, of an ended epoch, or of nobody is left
    after `Facts.bound`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Seconds by which two witnesses may differ: a watcher's step, a write of a journal.
BLUR = 0.25
#: Seconds from a process's waking until its beat must have arrived: it races with a sweep.
WAKING = 1.0
SILENCE = {"lease_expired", "connection_lost"}


@dataclass
class Life:
    """One worker process, as seen from outside; times are of time.time()."""

    pid: int
    seen: float = 0.0  #: alive then
    gone: float | None = None  #: dead then
    stops: list[list[float]] = field(default_factory=list)  #: SIGSTOP, SIGCONT


@dataclass
class Facts:
    """What the test knows without asking the database."""

    lease: float
    grace: float
    sweep: float
    lives: dict[int, Life] = field(default_factory=dict)
    #: (what, from, until): what was done to the database.
    troubles: list[tuple[str, float, float]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def beat(self) -> float:
        """A live process is heard of at least so often: each third of the lease, and a quarter of that."""
        return self.lease / 3 * 1.25

    @property
    def bound(self) -> float:
        """Seconds until the last orphan must be closed.

        On their own host two sweeps show who is dead. Elsewhere silence does: a lease; when most
        fall silent at once another one (promise 5); the second look, a beat later; the grace.
        """
        return 2 * self.lease + self.grace + self.beat + 2 * self.sweep + WAKING

    def breaks(self) -> Iterator[float]:
        """After which nobody's silence counts for a lease."""
        for what, begin, end in self.troubles:
            if what != "stall" or end - begin >= self.lease:
                yield end


@dataclass
class Verdict:
    """What an independent look found."""

    violations: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    #: Seconds from a death (or the last trouble before, or until somebody served again) to a closing.
    slowest: float = 0.0


def read(folder: Path) -> list[dict[str, Any]]:
    """All journals, in order of time."""
    lines = []
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:  # cut off by kill -9
                pass
    return sorted(lines, key=lambda line: float(line["at"]))


def judge(
    facts: Facts,
    journal: list[dict[str, Any]],
    servers: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    events: list[dict[str, Any]],
) -> Verdict:
    """The rules 1 to 3; the rows are of a moment when all is over."""
    found = Verdict()
    blame = found.violations.append
    by_pid: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in journal:
        by_pid[line["pid"]].append(line)
    pid_of = {line["epoch"]: line["pid"] for line in journal if line["what"] == "booted"}
    ended = {server["epoch"]: server for server in servers}

    for server in servers:
        if server["ended"] is None:
            continue
        found.figures[f"ended {server['reason']}"] += 1
        pid = pid_of.get(server["epoch"], server["pid"])
        excuse = _unfair(facts, facts.lives.get(pid), by_pid[pid], server)
        if excuse:
            blame(
                f"epoch {server['epoch']} (pid {pid}) ended as {server['reason']}"
                f" at {server['ended']:.3f}: {excuse}"
            )

    closings: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["kind"] == "closed":
            closings[event["key"]].append(event)
    finished = {line["id"] for line in journal if line["what"] == "finished"}
    wavering = {line["id"] for line in journal if line["what"] == "refused"}
    for row in rows:
        mine = closings[str(row["id"])]
        who = [event["detector"] == "writer" for event in mine]
        expected = {"running": [], "done": [True], "failed": [False]}[row["status"]]
        if who != expected:
            blame(f"row {row['id']} is {row['status']}, its closings: {mine}")
        if row["id"] in finished and row["status"] != "done":
            blame(f"row {row['id']} was finished, and is {row['status']}: {mine}")
        found.figures[row["status"]] += 1
        for event in mine:
            if event["detector"] == "writer":
                continue
            server = ended.get(event["server_epoch"])
            if event["server_epoch"] != row["server_epoch"]:
                blame(f"row {row['id']} of {row['server_epoch']} was closed as of another: {event}")
            elif server is None or server["ended"] is None:
                blame(f"row {row['id']} of an epoch that has not ended was closed: {event}")
            elif event["at"] < server["ended"] - BLUR and event["reason"] != "shutdown":
                blame(f"row {row['id']} was closed before its owner's end: {event}, {server}")
            life = facts.lives.get(pid_of.get(event["server_epoch"], -1))
            if life is not None and life.gone is not None and event["at"] > life.gone:
                since = [life.gone, *(end for _, _, end in facts.troubles if end < event["at"])]
                since.append(_served(facts, journal, life.gone))
                begun = max(since)
                found.slowest = max(found.slowest, event["at"] - begun)

    state = {row["id"]: row for row in rows}
    for line in journal:
        if line["what"] == "opened":
            owner = next((e for e, pid in pid_of.items() if pid == line["pid"]), None)
            if line["epoch"] is None or line["epoch"] != owner:
                blame(f"{line} opened under an epoch that is not its own ({owner})")
            if line["id"] not in state:
                blame(f"{line}: the row is not there")
        elif line["what"] == "gone" and line["id"] not in wavering:
            row = state[line["id"]]
            if row["status"] != "failed":
                blame(f"{line}: not found, and yet {row}")
        found.figures[f"said {line['what']}"] += 1
    return found


def _unfair(
    facts: Facts, life: Life | None, said: list[dict[str, Any]], server: dict[str, Any]
) -> str | None:
    """Why an epoch should not have been ended; None if it was right (rule 1)."""
    at, reason = server["ended"], server["reason"]
    if life is None:  # it died before it could say a word, so it never opened a row
        return None
    alive = max([life.seen, *(line["at"] for line in said)])
    if life.gone is not None and at >= alive - BLUR:
        return None
    if reason == "shutdown" and any(
        line["what"] == "leaving" and line["at"] <= at for line in said
    ):
        return None
    if reason not in SILENCE:
        return f"its process lived until {alive:.3f}"
    own = [(begin, end) for begin, end in life.stops]
    own += [(line["since"], line["at"]) for line in said if line["what"] == "stood still"]
    # A stall too short to be a break, right before: then the silence is that much longer.
    still = _joined(own + [(begin, end) for _, begin, end in facts.troubles if end < at])
    need = facts.lease if reason == "lease_expired" else min(facts.grace, facts.lease)
    if not any(
        begin + need - facts.beat - BLUR <= at <= end + WAKING
        and any(begin <= a <= end for a, _ in own)
        for begin, end in still
    ):
        return f"its process lived until {alive:.3f}, and stood still only {_joined(own)}"
    early = [end for end in facts.breaks() if end <= at < end + facts.lease - BLUR]
    if early:
        return f"within a lease of a break in watching at {early}"
    return None


def _served(facts: Facts, journal: list[dict[str, Any]], at: float) -> float:
    """The first moment from then on at which a worker served: without one nobody sweeps."""
    boots = [
        (line["at"], facts.lives.get(line["pid"])) for line in journal if line["what"] == "booted"
    ]
    served = [
        max(begin, at)
        for begin, life in boots
        if life is None or life.gone is None or life.gone > max(begin, at)
    ]
    return min(served, default=at)


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans without overlaps: a stop is followed at once by the starving of who wakes up."""
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1] + BLUR:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined
