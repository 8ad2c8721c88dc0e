"""One small call, many times: Plugbay beside the same function in other servers."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import Final

from benchmarks.load import Result
from benchmarks.plan import Plan
from benchmarks.report import Table, Target
from benchmarks.rows.comparison import CONNECTIONS, NOTE, comparison
from benchmarks.systems import BARE, FASTAPI_ASYNC, FUNCTIONS_FRAMEWORK, MEASURED, REFERENCE, System, product
from benchmarks.turns import compare, start_all

_ADDED: Final = Target(0.35, "ms added to the reference's p50")
_AHEAD: Final = Target(1.3, "× the reference", most=False)
_CLOUD: Final = Target(3.0, f"× {FUNCTIONS_FRAMEWORK.name}", most=False)


def measured_product(plan: Plan) -> System:
    """Plugbay with nothing but the measured functions."""
    plugins = plan.subfolder("measured/plugins")
    shutil.copy(MEASURED, plugins)
    return product(plugins, plan.subfolder("measured/data"))


def calls(plan: Plan) -> Table:
    """The row `calls`."""
    plugbay = measured_product(plan)
    systems = [plugbay, REFERENCE, FASTAPI_ASYNC, BARE, FUNCTIONS_FRAMEWORK]
    with ExitStack() as stack:
        results = compare(start_all(stack, systems, plan), CONNECTIONS, plan)

    def verdict(name: str, connections: int, good: dict[str, Result]) -> str:
        return _verdicts(good[name], connections, good) if name == plugbay.name else ""

    return comparison("Calls", NOTE, [system.name for system in systems], results, verdict)


def _verdicts(plugbay: Result, connections: int, good: dict[str, Result]) -> str:
    """What Plugbay is to reach with so many connections."""
    said: list[str] = []
    reference, cloud = good.get(REFERENCE.name), good.get(FUNCTIONS_FRAMEWORK.name)
    if connections == 1 and reference:
        said.append(_ADDED.verdict(plugbay.p50_ms - reference.p50_ms))
    if connections == 64 and reference:
        said.append(_AHEAD.verdict(plugbay.rps / reference.rps))
    if connections == 64 and cloud:
        said.append(_CLOUD.verdict(plugbay.rps / cloud.rps))
    return "; ".join(said)
