"""Comparisons: what is compared takes turns, so that a change of the machine's mood meets all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks import load
from benchmarks.load import Invalid, Result, Sample
from benchmarks.plan import Plan
from benchmarks.systems import Running, Served, System, running

Results = dict[str, Result | Invalid]
"""By system."""


def start_all(stack: ExitStack, systems: Sequence[System], plan: Plan) -> list[Running]:
    """Starts each system and warms it up; the stack stops them."""
    started = [stack.enter_context(running(system, plan.folder)) for system in systems]
    warm_up(started)
    return started


def warm_up(served: Sequence[Served]) -> None:
    """Calls each for a while. Raises Invalid when it cannot be called."""
    for one in served:
        load.run(one.url(one.echo), connections=16, secs=1)


def compare(served: Sequence[Served], connections: Sequence[int], plan: Plan) -> dict[int, Results]:
    """Each one's echo with so many connections. Raises Invalid when one answers wrong at the end."""
    results: dict[int, Results] = {}
    for count in connections:
        measures = {one.name: partial(load.run, one.url(one.echo), count, plan.secs) for one in served}
        results[count] = take_turns(measures, plan.rounds)
    for one in served:
        one.check()
    return results


def take_turns(measures: Mapping[str, Callable[[], Sample]], rounds: int) -> Results:
    """The medians of each measurement. The order is another one in each round; what failed once
    is not measured again."""
    samples: dict[str, list[Sample]] = {name: [] for name in measures}
    failed: dict[str, Invalid] = {}
    names = list(measures)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            if name in failed:
                continue
            try:
                samples[name].append(measures[name]())
            except Invalid as error:
                failed[name] = error
    return {name: failed.get(name) or load.medians(samples[name]) for name in names}


def valid(results: Results) -> dict[str, Result]:
    """The same, when none failed. Raises the first Invalid."""
    good: dict[str, Result] = {}
    for name, result in results.items():
        if isinstance(result, Invalid):
            raise Invalid(f"{name}: {result}")
        good[name] = result
    return good
