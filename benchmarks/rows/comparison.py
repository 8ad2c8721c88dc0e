"""A table of systems that serve the same echo, with their ratios to the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.load import Invalid, Result
from benchmarks.report import NONE, Table, decimal
from benchmarks.systems import REFERENCE
from benchmarks.turns import Results

CONNECTIONS: Final = (1, 16, 64)
NOTE: Final = (
    f"An echo of four declared query parameters. The reference is {REFERENCE.name}: the same plain `def` "
    "function as a FastAPI route, one uvicorn worker with uvloop and httptools. c: connections."
)

Verdict = Callable[[str, int, dict[str, Result]], str]
"""What is said of a system with so many connections, given all results that are valid, its own among them."""


def comparison(title: str, note: str, names: Sequence[str], results: dict[int, Results], verdict: Verdict) -> Table:
    """The table; its lines are in the order of `names`."""
    lines: list[list[str]] = []
    for connections, of_all in results.items():
        good = {name: result for name, result in of_all.items() if isinstance(result, Result)}
        for name in names:
            said = verdict(name, connections, good) if name in good else ""
            lines.append([name, str(connections), *_cells(of_all[name], good.get(REFERENCE.name)), said])
    return Table(
        title=title,
        note=note,
        header=["system", "c", "p50 ms", "p99 ms", "calls/s", "÷ reference", "to reach"],
        lines=lines,
        valid=not any(isinstance(result, Invalid) for of_all in results.values() for result in of_all.values()),
    )


def _cells(result: Result | Invalid, reference: Result | None) -> list[str]:
    if isinstance(result, Invalid):
        return [f"**invalid**: {result}", NONE, NONE, NONE]
    ratio = NONE if reference is None else f"{result.rps / reference.rps:.2f}"
    return [decimal(result.p50_ms), decimal(result.p99_ms), f"{result.rps:,.0f}", ratio]
