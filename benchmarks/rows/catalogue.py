"""Whether ten thousand endpoints are as fast as ten, in calls and at the start."""

from __future__ import annotations

import http.client
import shutil
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import load
from benchmarks.client import Client, Question
from benchmarks.load import Invalid
from benchmarks.plan import Plan
from benchmarks.report import NONE, Table, Target, decimal
from benchmarks.systems import ECHOED, System, called, product, running
from benchmarks.turns import start_all, take_turns, valid

SMALL, LARGE = 1, 1000
"""Modules of the two catalogues."""
PER_MODULE: Final = 10
_SAME: Final = Target(1.05, "× the p50 of 10")
_LATER: Final = Target(2.0, "s")
_START_SECS: Final = 120.0
_POLL_SECS: Final = 0.005

_HEAD: Final = "from vyperlogix.decorators import expose\n"
_FUNCTION: Final = '''

@expose.endpoint(method="GET", API="echo-{module}-{number}")
def echo_{number}(a: str, b: str, c: int, d: int) -> dict[str, object]:
    """Echo {number} of module {module}."""
    return {{"a": a, "b": b, "c": c, "d": d}}
'''


def _system(plan: Plan, modules: int) -> tuple[System, Path]:
    """Plugbay with so many modules, and its data folder, which both rows use."""
    plugins, data = plan.subfolder(f"catalogue-{modules}/plugins"), plan.subfolder(f"catalogue-{modules}/data")
    for module in range(modules):
        functions = (_FUNCTION.format(module=module, number=number) for number in range(PER_MODULE))
        (plugins / f"module_{module}.py").write_text(_HEAD + "".join(functions))
    middle = modules // 2
    api = f"echo-{middle}-{PER_MODULE // 2}"
    question = Question(f"/rest/services/module_{middle}/{api}/?a=one&b=two&c=3&d=4", called(api, ECHOED))
    return product(plugins, data, name=f"plugbay-{modules}", echo=question), data


def catalogue(plan: Plan) -> Table:
    """The row `catalogue`."""
    systems = {f"{modules * PER_MODULE:,}": _system(plan, modules)[0] for modules in (SMALL, LARGE)}
    with ExitStack() as stack:
        started = start_all(stack, list(systems.values()), plan)
        for one in started:
            _ready_secs(one.port, time.perf_counter())
        measures = {
            name: partial(load.run, one.url(one.echo), 1, plan.secs) for name, one in zip(systems, started, strict=True)
        }
        results = valid(take_turns(measures, plan.rounds))
    few, many = results.values()
    verdicts = ["", _SAME.verdict(many.p50_ms / few.p50_ms)]
    return Table(
        title="Catalogue",
        note=f"The same echo in a catalogue of {SMALL} module and of {LARGE:,}, each with {PER_MODULE} endpoints; c=1.",
        header=["endpoints", "p50 ms", "p99 ms", "calls/s", "to reach"],
        lines=[
            [name, decimal(result.p50_ms), decimal(result.p99_ms), f"{result.rps:,.0f}", verdict]
            for (name, result), verdict in zip(results.items(), verdicts, strict=True)
        ],
    )


def start(plan: Plan) -> Table:
    """The row `start`."""
    lines: list[list[str]] = []
    for modules in (SMALL, LARGE):
        system, data = _system(plan, modules)
        shutil.rmtree(data)
        first = _start(system, plan)
        later = [_start(system, plan) for _ in range(plan.starts)]
        answered, ready = (median(seconds) for seconds in zip(*later, strict=True))
        endpoints = f"{modules * PER_MODULE:,}"
        lines.append([endpoints, "first", f"{first[0]:.2f}", f"{first[1]:.2f}", NONE])
        lines.append([endpoints, "later", f"{answered:.2f}", f"{ready:.2f}", _LATER.verdict(answered)])
    return Table(
        title="Start",
        note="From `./runserver.sh` to the first right answer of one endpoint, and until `/readyz` says that all "
        f"serve. First: with an empty data folder; later: medians of {plan.starts}.",
        header=["endpoints", "start", "first answer s", "ready s", "first answer, to reach"],
        lines=lines,
    )


def _start(system: System, plan: Plan) -> tuple[float, float]:
    """Seconds to the first right answer, and until all serve."""
    began = time.perf_counter()
    with running(system, plan.folder, start_secs=_START_SECS) as plugbay:
        return plugbay.start_secs, _ready_secs(plugbay.port, began)


def _ready_secs(port: int, began: float) -> float:
    """Seconds from `began` until it is ready. Raises Invalid when it does not become so."""
    with Client(port) as client:
        while time.perf_counter() < began + _START_SECS:
            try:
                if client.get("/readyz")[0] == 200:
                    return time.perf_counter() - began
            except (OSError, http.client.HTTPException) as error:
                raise Invalid(f"/readyz: no answer: {error}") from error
            time.sleep(_POLL_SECS)
    raise Invalid(f"not ready within {_START_SECS:g} s")
