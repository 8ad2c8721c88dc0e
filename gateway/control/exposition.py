"""The platform's numbers in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from calls.pools import PoolStatus
from gateway.control.services import Services
from gateway.metrics import Durations, Metrics

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST


def exposition(services: Services) -> bytes:
    """Everything, as it is now."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PlatformCollector(services))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class PlatformCollector(Collector):
    """Reads every part that counts something."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        """All metric families of the platform."""
        services = self._services
        yield from _calls(services.metrics)
        yield from _pools(services.pools.pools())
        modules = services.view(services.admin).modules.values()
        yield _gauge("modules", "Modules that serve.", sum(not module.broken for module in modules))
        yield _gauge(
            "modules_failing",
            "Modules whose newest version cannot be imported.",
            sum(module.problem is not None for module in modules),
        )
        yield _gauge("endpoints", "Functions exposed.", sum(len(module.report.endpoints) for module in modules))
        yield _gauge("log_bytes", "Bytes of functions' output that are kept.", services.logs.bytes_kept)
        yield CounterMetricFamily(
            "plugbay_log_lines_dropped",
            "Lines of the process's own log that stderr did not take.",
            services.metrics.lines_dropped(),
        )


def _calls(metrics: Metrics) -> Iterable[Metric]:
    calls = CounterMetricFamily(
        "plugbay_calls", "Requests to the data plane by outcome and status class.", labels=("outcome", "status")
    )
    for (outcome, status), count in list(metrics.calls.items()):
        calls.add_metric((outcome, f"{status}xx"), count)
    yield calls
    yield _gauge("calls_in_flight", "Calls that are not answered yet.", metrics.in_flight())
    yield _histogram("call_queue_seconds", "Seconds a call waited for a worker.", metrics.queue)
    yield _histogram("call_bind_seconds", "Seconds a cold call waited for its runner.", metrics.bind)
    yield _histogram("call_run_seconds", "Seconds from dispatch to a worker to its reply.", metrics.run)


def _pools(pools: list[PoolStatus]) -> Iterable[Metric]:
    """By kind of pool: a tenant's pool is named after the tenant, which is nobody else's business."""
    wanted: Counter[str] = Counter()
    runners: Counter[tuple[str, str]] = Counter()
    workers: Counter[tuple[str, str]] = Counter()
    queued: Counter[str] = Counter()
    cold: Counter[str] = Counter()
    kills: Counter[tuple[str, str]] = Counter()
    for pool in pools:
        kind = "admin" if pool.name == "admin" else "tenant"
        wanted[kind] += pool.size
        queued[kind] += pool.queue
        cold[kind] += pool.cold_starts
        for reason, count in pool.kills.items():
            kills[kind, reason] += count
        for runner in pool.runners:
            runners[kind, runner.state] += 1
            workers[kind, "busy"] += runner.busy
            workers[kind, "idle"] += runner.workers - runner.busy
    yield _by(GaugeMetricFamily, "runners_wanted", "Runners that pools are to have.", ("pool",), wanted)
    yield _by(GaugeMetricFamily, "runners", "Runners by state.", ("pool", "state"), runners)
    yield _by(GaugeMetricFamily, "workers", "Processes that run calls, by state.", ("pool", "state"), workers)
    yield _by(GaugeMetricFamily, "queue_length", "Calls waiting for a worker.", ("pool",), queued)
    yield _by(CounterMetricFamily, "cold_starts", "Workers started because calls waited for one.", ("pool",), cold)
    yield _by(
        CounterMetricFamily, "worker_kills", "Workers killed or found dead, by reason.", ("pool", "reason"), kills
    )


def _by(
    family: type[GaugeMetricFamily | CounterMetricFamily],
    name: str,
    text: str,
    labels: tuple[str, ...],
    counts: Counter[str] | Counter[tuple[str, str]],
) -> Metric:
    metric = family(f"plugbay_{name}", text, labels=labels)
    for key, count in counts.items():
        metric.add_metric((key,) if isinstance(key, str) else key, count)
    return metric


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"plugbay_{name}", text, value)


def _histogram(name: str, text: str, durations: Durations) -> Metric:
    return HistogramMetricFamily(f"plugbay_{name}", text, buckets=durations.buckets(), sum_value=durations.sum)
