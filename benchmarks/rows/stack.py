"""The stack: a tenant's function in a container, over Redis, beside the same function in other servers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from benchmarks.load import Result
from benchmarks.plan import Plan
from benchmarks.queued import NAME as QUEUE
from benchmarks.queued import fastapi_arq
from benchmarks.report import Table, Target
from benchmarks.rows.comparison import CONNECTIONS, NOTE, comparison
from benchmarks.stack import services
from benchmarks.stack.images import RUNTIMES
from benchmarks.stack.stack import serving, site, without
from benchmarks.systems import FASTAPI_ASYNC, FUNCTIONS_FRAMEWORK, REFERENCE, Served
from benchmarks.turns import compare, start_all, warm_up

_ADDED: Final = Target(0.6, "ms added to the reference's p50")
_AHEAD: Final = Target(1.3, "× the reference", most=False)
_GVISOR: Final = Target(0.7, "× the reference", most=False)
_CLOUD: Final = Target(3.0, f"× {FUNCTIONS_FRAMEWORK.name}", most=False)
_QUEUE: Final = Target(6.0, f"× {QUEUE}", most=False)


def stack(plan: Plan) -> Table:
    """The row `stack`."""
    with ExitStack() as held:
        at = held.enter_context(site(plan))
        stacks = {runtime: held.enter_context(serving(at, runtime, tenants=1)) for runtime in at.runtimes}
        doors: list[Served] = [door for one in stacks.values() for door in (one.gateway, one.nginx)]
        others: list[Served] = list(start_all(held, [REFERENCE, FASTAPI_ASYNC, FUNCTIONS_FRAMEWORK], plan))
        redis = held.enter_context(services.plain_redis(at.images.redis, QUEUE, plan.folder))
        others.append(held.enter_context(fastapi_arq(redis, plan)))
        warm_up([*doors, others[-1]])
        runtime_of = {one.gateway.name: runtime for runtime, one in stacks.items()}
        results = compare([*doors, *others], CONNECTIONS, plan)

    def verdict(name: str, connections: int, good: dict[str, Result]) -> str:
        return _verdicts(good[name], runtime_of[name], connections, good) if name in runtime_of else ""

    return comparison(
        "The stack",
        f"{NOTE} Plugbay runs a tenant's function in a container of its own (with runsc: under gVisor), called "
        "over Redis, with tenant check, catalogue, logs and metrics; nginx: the same through nginx. All but the "
        f"runners on the loopback of this machine. {QUEUE}: a job of arq's whose result is waited for." + without(at),
        [one.name for one in (*doors, *others)],
        results,
        verdict,
    )


def _verdicts(plugbay: Result, runtime: str, connections: int, good: dict[str, Result]) -> str:
    """What the stack is to reach with so many connections."""
    said: list[str] = []
    reference = good.get(REFERENCE.name)
    if runtime != RUNTIMES[0]:
        if connections == 64 and reference:
            said.append(_GVISOR.verdict(plugbay.rps / reference.rps))
        return "; ".join(said)
    if connections == 1 and reference:
        said.append(_ADDED.verdict(plugbay.p50_ms - reference.p50_ms))
    if connections == 64:
        for other, target in ((REFERENCE.name, _AHEAD), (FUNCTIONS_FRAMEWORK.name, _CLOUD), (QUEUE, _QUEUE)):
            if other in good:
                said.append(target.verdict(plugbay.rps / good[other].rps))
    return "; ".join(said)
