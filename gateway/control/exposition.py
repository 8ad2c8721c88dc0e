"""The platform's numbers in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from calls.durations import Durations
from gateway.control.pool_metrics import pool_metrics
from gateway.control.services import Services
from gateway.metrics import Metrics

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
        yield from pool_metrics(services.pools.pools(), services.pools.hosts())
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
    kept = metrics.kept
    yield _gauge("kept_calls_waiting", "Calls that nobody waits for and that have no result yet.", kept.waiting)
    yield _gauge("kept_calls_running", "Those that run now.", kept.running)
    yield CounterMetricFamily("plugbay_kept_calls_retried", "Times one was run again.", kept.retried)
    yield CounterMetricFamily("plugbay_kept_calls_given_up", "Those that were given up.", kept.given_up)
    yield _histogram("call_queue_seconds", "Seconds a call waited for a worker.", metrics.queue)
    yield _histogram("call_bind_seconds", "Seconds a cold call waited for its runner.", metrics.bind)
    yield _histogram("call_run_seconds", "Seconds from dispatch to a worker to its reply.", metrics.run)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"plugbay_{name}", text, value)


def _histogram(name: str, text: str, durations: Durations) -> Metric:
    return HistogramMetricFamily(f"plugbay_{name}", text, buckets=durations.buckets(), sum_value=durations.sum)
