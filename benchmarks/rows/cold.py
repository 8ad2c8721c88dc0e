"""How long a tenant without a runner waits for its first answer."""

from __future__ import annotations

import subprocess
import time
from itertools import cycle, islice
from statistics import median
from typing import Final

from benchmarks.client import Client
from benchmarks.load import Invalid
from benchmarks.plan import Plan
from benchmarks.report import Table, Target, decimal
from benchmarks.stack.images import RUNTIMES
from benchmarks.stack.stack import Site, serving, site, without

_TENANTS: Final = 4
_IDLE_SECS: Final = "0.3"
"""Soon after its call a tenant's runner ends, so that the next call finds none."""
_READY: Final = Target(25, "ms p50")
_LONGEST: Final = Target(60, "ms longest")
_STARTED: Final = Target(1.25, "× docker run")
_RUN_SECS: Final = 60


def cold(plan: Plan) -> Table:
    """The row `cold`."""
    lines: list[list[str]] = []
    with site(plan) as at:
        for runtime in at.runtimes:
            ready, _ = _first_calls(at, runtime, prewarmed=1)
            started, runs = _first_calls(at, runtime, prewarmed=0)
            said = f"{_READY.verdict(median(ready))}; {_LONGEST.verdict(max(ready))}" if runtime == RUNTIMES[0] else ""
            lines += [
                _line(runtime, "a runner is prewarmed", ready, said),
                _line(runtime, "none is prewarmed", started, _STARTED.verdict(median(started) / median(runs))),
                _line(runtime, "docker run", runs, ""),
            ]
    return Table(
        title="Cold start",
        note="The first call of a tenant that has no runner, until its answer; every call is another runner's first. "
        "docker run: from the command to the first output of a Python in the same image, without a network and "
        "with none of the sandbox's other controls; it takes turns with the calls that find no runner." + without(at),
        header=["runtime", "what", "times", "p50 ms", "longest ms", "to reach"],
        lines=lines,
    )


def _line(runtime: str, what: str, took: list[float], said: str) -> list[str]:
    return [runtime, what, str(len(took)), decimal(median(took)), decimal(max(took)), said]


def _first_calls(at: Site, runtime: str, prewarmed: int) -> tuple[list[float], list[float]]:
    """Milliseconds of first calls and, when no runner is prewarmed, of `docker run` in turns with them."""
    calls: list[float] = []
    runs: list[float] = []
    chosen = {
        "PREWARMED_RUNNERS": str(prewarmed),
        "TENANT_IDLE_SECS": _IDLE_SECS,
        "TENANT_STARTS_PER_MINUTE": "1000",
    }
    with serving(at, runtime, _TENANTS, **chosen) as stack, Client(stack.gateway.port) as client:
        spent: frozenset[str] = frozenset()
        for question in islice(cycle(stack.tenants.values()), at.plan.colds):
            spent = stack.await_rest(prewarmed, spent)
            began = time.perf_counter()
            client.check(question)
            calls.append((time.perf_counter() - began) * 1000)
            if not prewarmed:
                stack.await_rest(prewarmed)
                runs.append(_docker_run_ms(at, runtime))
    return calls, runs


def _docker_run_ms(at: Site, runtime: str) -> float:
    """Milliseconds from the command to the first output of its Python. Raises Invalid when there is none."""
    options = ["--rm", "--network", "none", "--runtime", runtime, "--entrypoint", "python3"]
    program = ["-I", "-S", "-c", "print('up')"]
    began = time.perf_counter()
    with subprocess.Popen(
        ["docker", "run", *options, at.images.tenant, *program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        said = run.stdout.readline()
        took = (time.perf_counter() - began) * 1000
        _, problem = run.communicate(timeout=_RUN_SECS)
    if said != b"up\n":
        raise Invalid(f"docker run: {problem.decode(errors='replace').strip()[-200:]}")
    return took
