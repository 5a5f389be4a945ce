"""Where a stream stands, without a database."""

from __future__ import annotations

import random

import pytest

import recovery
from recovery.asgi.cursor import Cursor, Track


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ("0", Cursor(0)),
        ("1200", Cursor(1200)),
        ("1200~10.34", Cursor(1200, (1210, 1234))),
        ("1200@3", Cursor(1200, (), 3)),
        ("1200~10@3", Cursor(1200, (1210,), 3)),
    ],
)
def test_text_and_back(text: str, cursor: Cursor) -> None:
    assert str(cursor) == text
    assert Cursor.parse(text) == cursor


def test_what_names_no_timeline() -> None:
    assert Cursor.parse("7", timeline=None) == Cursor(7, (), None)
    assert Cursor.parse("7@2", timeline=None).timeline == 2


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1~", "~1", "1~1.", "1@0", "1 ", "1~1@", "٣", "1" * 19]
)
def test_nonsense(text: str) -> None:
    with pytest.raises(recovery.InvalidArgument, match="is no position"):
        Cursor.parse(text)


def test_a_track_knows_what_was_delivered() -> None:
    track = Track(100)
    track.deliver(300)
    track.deliver(200)
    assert track.cursor == Cursor(100, (200, 300))
    track.settle(250)
    assert track.cursor == Cursor(250, (300,))
    track.settle(400)
    assert track.cursor == Cursor(400)
    track.deliver(400)
    assert track.cursor == Cursor(400)


def test_after_a_failover_it_begins_anew() -> None:
    track = Track(1000)
    track.deliver(1200)
    track.settle(900)
    assert track.cursor == Cursor(900)


def test_a_cursor_fits_into_a_header() -> None:
    """And what it leaves out comes again rather than not at all."""
    track = Track(10**15)
    for number in range(5000):
        track.deliver(10**15 + number * 100)
    assert len(str(track.cursor)) < 1000
    assert Cursor.parse(str(track.cursor)) == track.cursor


def test_p09_whatever_the_order_nothing_is_passed_over() -> None:
    """P9: an event that was not delivered is above the cursor, and not named in it."""
    for seed in range(200):
        chance = random.Random(seed)
        ids = list(range(100, 4000, 100))
        chance.shuffle(ids)
        track, done = Track(0), set()
        for id_ in ids:
            track.deliver(id_)
            done.add(id_)
            if chance.random() < 0.3:
                missing = min(set(ids) - done, default=4000)
                track.settle(missing - 1)
            cursor = Cursor.parse(str(track.cursor))
            for each in set(ids) - done:
                assert each > cursor.safe
                assert each not in cursor.above
