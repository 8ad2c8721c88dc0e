"""What is counted per call: plain integers, so that counting costs the event loop next to nothing.

`gateway.control.exposition` turns them into Prometheus' text format when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calls.durations import Durations


@dataclass(slots=True)
class KeptCounts:
    """What becomes of calls that nobody waits for."""

    waiting: int = 0
    """Of all gateways: those without a result, as last heard."""
    running: int = 0
    """Here."""
    retried: int = 0
    given_up: int = 0


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
        self.kept = KeptCounts()

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
