"""Whether a hundred tenants, each with a runner of its own, are served as one is."""

from __future__ import annotations

from functools import partial
from statistics import mean
from typing import Final

from benchmarks import load
from benchmarks.load import Invalid
from benchmarks.plan import Plan
from benchmarks.report import NONE, Table, Target, decimal
from benchmarks.resident import pss_mib
from benchmarks.rows.idle import container_processes
from benchmarks.stack.images import RUNTIMES
from benchmarks.stack.stack import serving, site
from benchmarks.turns import take_turns, valid

TENANTS: Final = 100
_SAME: Final = Target(1.2, "× the p50 of one")


def tenants(plan: Plan) -> Table:
    """The row `tenants`."""
    chosen = {"MAX_TENANT_RUNNERS": str(TENANTS + 1), "PREWARMED_RUNNERS": "1"}
    with site(plan) as at, serving(at, RUNTIMES[0], TENANTS, **chosen) as stack:
        paths = plan.folder / "tenants.txt"
        paths.write_text("".join(f"{question.path}\n" for question in stack.tenants.values()))
        url = stack.gateway.url(stack.gateway.echo)
        measures = {
            "1": partial(load.run, url, 1, plan.secs),
            str(TENANTS): partial(load.run, url, 1, plan.secs, paths=paths),
        }
        results = valid(take_turns(measures, plan.rounds))
        bound = [container for container, owner in stack.containers().items() if owner in stack.tenants]
        if len(bound) != TENANTS:
            raise Invalid(f"{len(bound)} runners are bound, not {TENANTS}")
        size = mean(sum(map(pss_mib, container_processes(container))) for container in bound)
    few, many = results.values()
    cells = [(NONE, ""), (decimal(size), _SAME.verdict(many.p50_ms / few.p50_ms))]
    return Table(
        title="Many tenants",
        note=f"{TENANTS} tenants with a runner each ({RUNTIMES[0]}): calls of one of them, and of all in turns; c=1. "
        "Memory: of one runner with all its processes, on average.",
        header=["tenants called", "p50 ms", "p99 ms", "calls/s", "PSS MiB a runner", "to reach"],
        lines=[
            [name, decimal(result.p50_ms), decimal(result.p99_ms), f"{result.rps:,.0f}", *more]
            for (name, result), more in zip(results.items(), cells, strict=True)
        ],
    )
