"""Whether one hung function slows down those beside it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from benchmarks import load
from benchmarks.client import Client
from benchmarks.load import Invalid, Sample
from benchmarks.plan import Plan
from benchmarks.report import Table, Target, decimal
from benchmarks.rows.calls import measured_product
from benchmarks.systems import Running
from benchmarks.turns import start_all, take_turns, valid

GOOD: Final = 15
"""Clients of the echo."""
_PATH: Final = "/rest/services/measured/hang/"
_LIMIT_SECS: Final = 10
"""More than the time limit of the function that hangs."""
_BESIDE: Final = Target(1.5, "× the p99 without it")


def hung(plan: Plan) -> Table:
    """The row `hung`."""
    with ExitStack() as stack:
        (plugbay,) = start_all(stack, [measured_product(plan)], plan)
        url = plugbay.url(plugbay.echo)

        def without() -> Sample:
            return load.run(url, GOOD, plan.secs)

        def beside() -> Sample:
            with _hanging(plugbay):
                return load.run(url, GOOD, plan.secs)

        results = valid(take_turns({"none": without, "one": beside}, plan.rounds))
    verdicts = ["", _BESIDE.verdict(results["one"].p99_ms / results["none"].p99_ms)]
    return Table(
        title="A hung function",
        note=f"{GOOD} clients of the echo, alone and beside one client that calls a function which never returns "
        "and is killed at its time limit of 2 s, again and again.",
        header=["hung functions", "p50 ms", "p99 ms", "calls/s", "to reach"],
        lines=[
            [name, decimal(result.p50_ms), decimal(result.p99_ms), f"{result.rps:,.0f}", verdict]
            for (name, result), verdict in zip(results.items(), verdicts, strict=True)
        ],
    )


@contextmanager
def _hanging(plugbay: Running) -> Iterator[None]:
    """One client that calls the function that hangs, again as soon as it is answered. Raises Invalid
    when an answer was not that the time limit was reached."""
    enough = threading.Event()
    wrong: list[str] = []

    def ask() -> None:
        with Client(plugbay.port, _LIMIT_SECS) as client:
            while not enough.is_set():
                try:
                    status, body = client.get(_PATH)
                except (OSError, http.client.HTTPException) as error:
                    status, body = 0, str(error).encode()
                if status != 504:
                    wrong.append(f"{_PATH}: {status} {body[:100]!r}")
                    return

    caller = threading.Thread(target=ask, name="caller of the hung function")
    caller.start()
    try:
        yield
    finally:
        enough.set()
        caller.join()
    if wrong:
        raise Invalid(wrong[0])
