"""Which versions do not serve, why, and when they are to be tried again."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from typing import Final

import msgspec

from catalogue.trials import Failure, Trial
from catalogue.view import Problem

_FIRST_RETRY_SECS: Final = 0.25
_LAST_RETRY_SECS: Final = 30.0


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One version that stands in a plugin folder and does not serve."""

    trial: Trial
    failure: Failure
    problem: Problem
    attempts: int
    retry_at: float
    """On the monotonic clock; infinite while nothing changes that could help."""


class Refusals:
    """At most one for each module: of the version that stands in its folder. Kept in memory only."""

    def __init__(self) -> None:
        self._refusals: dict[str, Refusal] = {}

    def refuse(self, trial: Trial, failure: Failure) -> bool:
        """Records that a version does not serve; False when this is known already."""
        name = trial.name
        before = self._refusals.get(name)
        known = before is not None and before.failure.text == failure.text
        attempts = before.attempts + 1 if before is not None and before.trial == trial else 0
        wait = min(_FIRST_RETRY_SECS * 2 ** min(attempts, 10), _LAST_RETRY_SECS) if failure.temporary else math.inf
        since = before.problem.since if before is not None and known else time.time()
        self._refusals[name] = Refusal(
            trial=trial,
            failure=failure,
            problem=Problem(
                module=name, text=failure.text, line=failure.line, since=since, temporary=failure.temporary
            ),
            attempts=attempts,
            retry_at=time.monotonic() + wait,
        )
        return not known

    def stands(self, trial: Trial) -> bool:
        """Whether exactly this trial has failed and is not to be repeated yet."""
        refusal = self._refusals.get(trial.name)
        return refusal is not None and refusal.trial == trial and time.monotonic() < refusal.retry_at

    def lift(self, name: str) -> None:
        """The module serves as it stands in its folder."""
        self._refusals.pop(name, None)

    def keep(self, names: Collection[str]) -> None:
        """Forgets modules that are no more."""
        for name in self._refusals.keys() - names:
            del self._refusals[name]

    def retry(self, owner: str, *, curable_only: bool) -> None:
        """Something changed that may help the owner's modules: they are to be tried again now."""
        for name, refusal in self._refusals.items():
            if refusal.trial.owner == owner and (refusal.failure.curable or not curable_only):
                self._refusals[name] = msgspec.structs.replace(refusal, retry_at=0.0)

    def next_retry(self) -> float:
        """Seconds until something is to be tried again; infinite when nothing is."""
        first = min((refusal.retry_at for refusal in self._refusals.values()), default=math.inf)
        return max(0.0, first - time.monotonic())

    def all(self) -> list[Refusal]:
        """By name of the module."""
        return [self._refusals[name] for name in sorted(self._refusals)]
