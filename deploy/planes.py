"""The data plane of a gateway: calls, results of those that nobody waits for, and what runs these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calls.broker import Broker
from calls.kept import KeptBounds, KeptCalls
from gateway.admission import Admission
from gateway.credentials import Credentials
from gateway.dataplane import DataPlane
from gateway.kept.consumer import LEASE_SECS, Consumer
from gateway.kept.execution import Execution
from gateway.kept.keeping import Keeping
from gateway.kept.plane import ResultPlane
from gateway.limits import PlanLimits
from gateway.observers import Observers
from gateway.running import Running
from gateway.runtime_settings import RuntimeSettings
from gateway.serving import Catalogue, Tenants
from gateway.usage import UsageMeter
from settings import Settings


@dataclass(frozen=True)
class DataPlanes:
    """The parts of one gateway that answer calls."""

    calls: DataPlane
    results: ResultPlane
    consumer: Consumer


def data_planes(
    settings: Settings,
    catalogue: Catalogue,
    tenants: Tenants,
    broker: Broker,
    kept: KeptCalls,
    runtime: RuntimeSettings,
    credentials: Credentials,
    observers: Observers,
    package_problem: Callable[[], str | None],
    limits: PlanLimits,
    usage: UsageMeter,
) -> DataPlanes:
    """All of them. `package_problem`: see DataPlane."""
    admission, running = Admission(settings, runtime, credentials), Running(settings, broker)
    keeping = Keeping(settings, kept)
    execution = Execution(str(settings.ADMIN_UUID), catalogue, tenants, running, runtime, limits, usage)
    consumer = Consumer(kept, keeping, execution, observers, settings.KEPT_AT_ONCE, settings.RESULT_SECS)
    keeping.on_call.append(consumer.wake)
    calls = DataPlane(
        settings,
        catalogue,
        tenants,
        running,
        runtime,
        admission,
        observers,
        package_problem,
        limits,
        usage,
        keeping,
    )
    return DataPlanes(calls, ResultPlane(settings, kept, tenants, admission, observers), consumer)


def kept_bounds(settings: Settings) -> KeptBounds:
    """How much is kept, as the settings say."""
    return KeptBounds(
        max_owner=settings.MAX_KEPT,
        max_total=settings.MAX_KEPT_TOTAL,
        max_bytes=settings.MAX_KEPT_BYTES,
        secs=settings.RESULT_SECS,
        lease_secs=LEASE_SECS,
    )
