"""What is counted per call: plain integers, so that counting costs the event loop next to nothing.

`gateway.control.exposition` turns them into Prometheus' text format when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds, in seconds, of the buckets of every duration."""


class Durations:
    """A histogram of seconds with the buckets of BOUNDS."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """Observations per bucket, not cumulative; the last bucket holds what is above all bounds."""
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """`(upper bound, observations up to it)` as Prometheus wants them, ending with `+Inf`."""
        total = 0
        rows: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.counts, strict=True):
            total += count
            rows.append((bound, total))
        return rows


class Metrics:
    """Counters of one gateway process.

    `in_flight` gives the calls that are not answered yet; `lines_dropped` the log lines that stderr
    did not take.
    """

    def __init__(self, in_flight: Callable[[], int], lines_dropped: Callable[[], int]) -> None:
        self.in_flight = in_flight
        self.lines_dropped = lines_dropped
        self.calls: dict[tuple[str, int], int] = {}
        """Calls by outcome and status class (2 for 2xx)."""
        self.queue = Durations()
        self.bind = Durations()
        """Cold calls only."""
        self.run = Durations()

    def call(self, outcome: str, status: int, queue: float, bind: float, run: float) -> None:
        """Counts one answered call, durations in seconds. `outcome` is a name out of a closed set:
        each becomes a time series for ever."""
        self.refused(outcome, status)
        self.queue.observe(queue)
        self.run.observe(run)
        if bind:
            self.bind.observe(bind)

    def refused(self, outcome: str, status: int) -> None:
        """Counts one request that was answered without a call to a runner."""
        key = (outcome, status // 100)
        self.calls[key] = self.calls.get(key, 0) + 1
