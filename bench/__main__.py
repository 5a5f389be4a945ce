"""python -m bench: see the package."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import attach, boot, closing, events, failover, rescue, writing
from bench._setup import FLUSH, Options

WHAT = {"closing": closing.run, "boot": boot.run, "writing": writing.run,
        "failover": failover.run, "attach": attach.run, "events": events.run,
        "rescue": rescue.run}  # fmt: skip


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*WHAT, "all"], default=["all"])
    parser.add_argument("--major", type=int, help="PostgreSQL to use (newest)")
    parser.add_argument("--sql", type=Path, action="append", default=[], metavar="DIR",
                        help="a version of sql/ to measure (the tree's own)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--rows", type=int, default=100_000, help="closing: orphans (%(default)s)")
    parser.add_argument("--batch", type=int, help="closing: rows a transaction (the default)")
    parser.add_argument("--sizes", type=_numbers, default=(30_000, 300_000, 3_000_000),
                        help="boot, attach (the largest): rows of the table (30000,300000,3000000)")  # fmt: skip
    parser.add_argument("--clients", type=_numbers, default=(1, 4, 16), help="writing (1,4,16)")
    parser.add_argument("--seconds", type=int, default=4, help="writing: a run (%(default)s)")
    parser.add_argument("--flush", choices=list(FLUSH), action="append", default=[],
                        help="how commits become durable (closing off; writing off and 2ms; events disk and off)")  # fmt: skip
    parser.add_argument("--life", choices=list(writing.LIVES), action="append", default=[],
                        help="writing: only this life of a row (all)")  # fmt: skip
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="events: how many (%(default)s)"
    )
    parser.add_argument("--part", choices=events.PARTS, action="append", default=[],
                        help="events: only this part (all)")  # fmt: skip
    parser.add_argument("--oban", type=Path, metavar="DIR",
                        help="rescue: where the package oban was unpacked (where it is installed)")  # fmt: skip
    given = parser.parse_args()
    options = Options(given.major, tuple(given.flush), given.rounds, given.rows, given.seconds, given.clients,
                      given.sizes, given.batch, tuple(given.sql), tuple(given.life),
                      given.events, tuple(given.part), given.oban)  # fmt: skip
    names = list(WHAT) if "all" in given.what else given.what
    for name in names:
        WHAT[name](options)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
