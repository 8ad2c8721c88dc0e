"""Metrics of runners, by host and kind of pool.

A tenant's pool is named after its tenant, which is nobody else's business: all of them count as `tenants`, and those of
further admins as `admins`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from calls.pools import KINDS, HostStatus, PoolStatus

_STATES: Final = ("starting", "prewarmed", "bound", "draining")
"""States of a runner that is there."""
_BY_POOL: Final = ("host", "pool")
_Counts = Counter[tuple[str, ...]]


def pool_metrics(pools: list[PoolStatus], hosts: list[HostStatus]) -> Iterable[Metric]:
    """What is so now, and what has happened since each host started."""
    yield from _runners(pools, hosts)
    yield from _pools(pools)
    yield from _tallies(hosts)
    load = GaugeMetricFamily("plugbay_host_load", "Unanswered calls of a runner host.", labels=("host",))
    capacity = GaugeMetricFamily("plugbay_host_capacity", "Calls a runner host runs well at once.", labels=("host",))
    draining = GaugeMetricFamily("plugbay_host_draining", "1: the host gets no further calls.", labels=("host",))
    for host in hosts:
        load.add_metric((host.name,), host.load)
        capacity.add_metric((host.name,), host.capacity)
        draining.add_metric((host.name,), host.draining)
    yield from (load, capacity, draining)


def _runners(pools: list[PoolStatus], hosts: list[HostStatus]) -> Iterable[Metric]:
    # What there is none of is told as 0: an alert on it must see it.
    runners: _Counts = Counter({(host.name, kind, state): 0 for host in hosts for kind in KINDS for state in _STATES})
    workers: _Counts = Counter(
        {(host.name, kind, state): 0 for host in hosts for kind in KINDS for state in ("busy", "idle")}
    )
    for pool in pools:
        for runner in pool.runners:
            place = (runner.host, pool.kind)
            runners[*place, runner.state] += 1
            workers[*place, "busy"] += runner.busy
            workers[*place, "idle"] += runner.workers - runner.busy
    labels = (*_BY_POOL, "state")
    yield _counted(GaugeMetricFamily("plugbay_runners", "Runners by state.", labels=labels), runners)
    yield _counted(GaugeMetricFamily("plugbay_workers", "Processes that run calls.", labels=labels), workers)


def _pools(pools: list[PoolStatus]) -> Iterable[Metric]:
    wanted: _Counts = Counter({(kind,): 0 for kind in KINDS})
    queued = Counter(wanted)
    for pool in pools:
        wanted[pool.kind,] += pool.size
        queued[pool.kind,] += pool.queue
    labels = ("pool",)
    yield _counted(
        GaugeMetricFamily("plugbay_runners_wanted", "Runners that pools are to have.", labels=labels), wanted
    )
    yield _counted(GaugeMetricFamily("plugbay_queue_length", "Calls waiting for a worker.", labels=labels), queued)


def _tallies(hosts: list[HostStatus]) -> Iterable[Metric]:
    cold = CounterMetricFamily("plugbay_cold_starts", "Workers started because calls waited for one.", labels=_BY_POOL)
    kills = CounterMetricFamily(
        "plugbay_worker_kills", "Workers killed or found dead, by reason.", labels=(*_BY_POOL, "reason")
    )
    starts = HistogramMetricFamily(
        "plugbay_runner_start_seconds", "Seconds from a runner's launch until it can be bound.", labels=_BY_POOL
    )
    binds = HistogramMetricFamily(
        "plugbay_runner_bind_seconds",
        "Seconds from the decision that an owner gets a runner until its first worker takes calls.",
        labels=_BY_POOL,
    )
    for host in hosts:
        for kind, tally in host.tallies.items():
            place = (host.name, kind)
            cold.add_metric(place, tally.cold_starts)
            for reason, count in tally.kills.items():
                kills.add_metric((*place, reason), count)
            starts.add_metric(place, tally.starts.buckets(), tally.starts.sum)
            binds.add_metric(place, tally.binds.buckets(), tally.binds.sum)
    yield from (cold, kills, starts, binds)


def _counted(metric: GaugeMetricFamily, counts: _Counts) -> Metric:
    for labels, count in counts.items():
        metric.add_metric(labels, count)
    return metric
