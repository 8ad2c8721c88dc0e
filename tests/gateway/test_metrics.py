"""Given counted calls, when the histograms are read, then they are what Prometheus expects."""

from __future__ import annotations

from calls.durations import BOUNDS, Durations
from gateway.metrics import Metrics


def test_a_duration_on_a_bound_is_within_it() -> None:
    durations = Durations()
    durations.observe(BOUNDS[0])
    durations.observe(BOUNDS[-1] + 1)
    durations.observe(0.0)
    rows = durations.buckets()
    assert rows[0] == (str(BOUNDS[0]), 2)
    assert rows[-2:] == [(str(BOUNDS[-1]), 2), ("+Inf", 3)]
    assert [count for _, count in rows] == sorted(count for _, count in rows)
    assert durations.sum == BOUNDS[0] + BOUNDS[-1] + 1


def test_warm_calls_have_no_bind_time_and_refused_ones_no_time_at_all() -> None:
    metrics = Metrics(lambda: 0, lambda: 0)
    metrics.call("VALUE", 200, 0.0, 0.0, 0.1)
    metrics.call("VALUE", 299, 0.0, 0.5, 0.1)
    metrics.refused("REFUSED", 404)
    assert metrics.calls == {("VALUE", 2): 2, ("REFUSED", 4): 1}
    assert [sum(one.counts) for one in (metrics.queue, metrics.bind, metrics.run)] == [2, 1, 2]
