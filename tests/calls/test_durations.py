"""Given durations of several processes, when they are added, then it is as if one had observed them all."""

from __future__ import annotations

from calls.durations import BOUNDS, Durations
from calls.pools import Tally


def test_sums_of_what_was_counted_apart() -> None:
    apart, together = [Durations(), Durations()], Durations()
    for number, seconds in enumerate([0.0, BOUNDS[3], 0.7, 31.0, 0.7]):
        apart[number % 2].observe(seconds)
        together.observe(seconds)
    total = Durations()
    for one in apart:
        total.add(one)
    assert total == together
    assert total.buckets()[-1] == ("+Inf", 5)


def test_tallies_share_nothing() -> None:
    one, other = Tally(), Tally()
    one.killed("time limit")
    one.starts.observe(1)
    assert other == Tally()
    other.add(one)
    other.add(one)
    assert (other.kills, other.starts.sum, one.kills) == ({"time limit": 2}, 2.0, {"time limit": 1})
