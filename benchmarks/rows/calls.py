"""One small call, many times: Plugbay beside the same function in other servers."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from functools import partial
from typing import Final

from benchmarks import load
from benchmarks.load import Invalid, Result
from benchmarks.plan import Plan
from benchmarks.report import NONE, Table, Target, decimal
from benchmarks.systems import BARE, FASTAPI_ASYNC, FUNCTIONS_FRAMEWORK, MEASURED, REFERENCE, System, product
from benchmarks.turns import start_all, take_turns

CONNECTIONS: Final = (1, 16, 64)
_ADDED: Final = Target(0.35, "ms added to the reference's p50")
_AHEAD: Final = Target(1.3, "× the reference", most=False)
_CLOUD: Final = Target(3.0, f"× {FUNCTIONS_FRAMEWORK.name}", most=False)

Results = dict[str, Result | Invalid]
"""By system."""


def measured_product(plan: Plan) -> System:
    """Plugbay with nothing but the measured functions."""
    plugins = plan.subfolder("measured/plugins")
    shutil.copy(MEASURED, plugins)
    return product(plugins, plan.subfolder("measured/data"))


def calls(plan: Plan) -> Table:
    """The row `calls`."""
    plugbay = measured_product(plan)
    systems = [plugbay, REFERENCE, FASTAPI_ASYNC, BARE, FUNCTIONS_FRAMEWORK]
    results: dict[int, Results] = {}
    with ExitStack() as stack:
        started = start_all(stack, systems, plan)
        for connections in CONNECTIONS:
            measures = {
                one.system.name: partial(load.run, one.url(one.system.echo), connections, plan.secs) for one in started
            }
            results[connections] = take_turns(measures, plan.rounds)
        for one in started:
            one.check(one.system.echo)
    return Table(
        title="Calls",
        note=f"An echo of four declared query parameters. The reference is {REFERENCE.name}: the same plain `def` "
        "function as a FastAPI route, one uvicorn worker with uvloop and httptools. c: connections.",
        header=["system", "c", "p50 ms", "p99 ms", "calls/s", "÷ reference", "to reach"],
        lines=[
            [
                system.name,
                str(connections),
                *_cells(system.name, of_all),
                _verdicts(plugbay, system, connections, of_all),
            ]
            for connections, of_all in results.items()
            for system in systems
        ],
        valid=not any(isinstance(result, Invalid) for of_all in results.values() for result in of_all.values()),
    )


def _cells(name: str, results: Results) -> list[str]:
    result, reference = results[name], results[REFERENCE.name]
    if isinstance(result, Invalid):
        return [f"**invalid**: {result}", NONE, NONE, NONE]
    ratio = NONE if isinstance(reference, Invalid) else f"{result.rps / reference.rps:.2f}"
    return [decimal(result.p50_ms), decimal(result.p99_ms), f"{result.rps:,.0f}", ratio]


def _verdicts(plugbay: System, system: System, connections: int, results: Results) -> str:
    """What Plugbay is to reach with so many connections."""
    result, reference, cloud = (results[name] for name in (plugbay.name, REFERENCE.name, FUNCTIONS_FRAMEWORK.name))
    if system is not plugbay or isinstance(result, Invalid):
        return ""
    said: list[str] = []
    if connections == 1 and isinstance(reference, Result):
        said.append(_ADDED.verdict(result.p50_ms - reference.p50_ms))
    if connections == 64 and isinstance(reference, Result):
        said.append(_AHEAD.verdict(result.rps / reference.rps))
    if connections == 64 and isinstance(cloud, Result):
        said.append(_CLOUD.verdict(result.rps / cloud.rps))
    return "; ".join(said)
