"""A megabyte of JSON, there and back."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from benchmarks import load
from benchmarks.client import Question
from benchmarks.plan import Plan
from benchmarks.report import Table, Target, decimal
from benchmarks.rows.calls import measured_product
from benchmarks.systems import REFERENCE, called
from benchmarks.turns import start_all, take_turns, valid

CONNECTIONS: Final = (1, 4)
SIZE: Final = 1_000_000
"""Bytes of the body, roughly."""
_LEAST_SECS: Final = 2
"""Seconds of one measurement at least: an answer can take tens of decimal."""
_HALF: Final = Target(0.5, "× the reference", most=False)


def document() -> dict[str, Any]:
    """Records as an API exchanges them: text, numbers, nesting."""
    items: list[dict[str, Any]] = []
    size = 0
    while size < SIZE:
        number = len(items)
        items.append(
            {
                "id": number,
                "name": f"item number {number}",
                "price": number * 1.25,
                "in_stock": number % 3 == 0,
                "tags": ["red", "green", "blue"],
                "place": {"row": number % 17, "shelf": f"s-{number % 91}", "note": None},
            }
        )
        size += len(json.dumps(items[-1]))
    return {"items": items}


def large(plan: Plan) -> Table:
    """The row `large`."""
    value = document()
    body = json.dumps(value).encode()
    file = plan.folder / "large.json"
    file.write_bytes(body)
    plugbay = measured_product(plan)
    questions = {
        plugbay.name: Question("/rest/services/measured/large/", called("large", value), body),
        REFERENCE.name: Question("/large", value, body),
    }
    lines: list[list[str]] = []
    with ExitStack() as stack:
        started = start_all(stack, [plugbay, REFERENCE], plan)
        for connections in CONNECTIONS:
            measures = {}
            for one in started:
                question = questions[one.name]
                one.check(question)
                measures[one.name] = partial(
                    load.run, one.url(question), connections, max(plan.secs, _LEAST_SECS), body=("POST", file)
                )
            results = valid(take_turns(measures, plan.rounds))
            for name, result in results.items():
                verdict = _HALF.verdict(result.rps / results[REFERENCE.name].rps) if name == plugbay.name else ""
                lines.append(
                    [
                        *(name, str(connections), decimal(result.p50_ms), decimal(result.p99_ms)),
                        *(f"{result.rps:,.1f}", verdict),
                    ]
                )
    return Table(
        title="Large bodies",
        note=f"An echo of {len(body):,} bytes of JSON, declared as a list of objects.",
        header=["system", "c", "p50 ms", "p99 ms", "calls/s", "to reach"],
        lines=lines,
    )
