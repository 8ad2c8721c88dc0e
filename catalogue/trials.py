"""New versions of modules are tried, in a runner of their owner's kind, before they serve."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from calls.call import Outcome, Reply
from catalogue import report as reports
from catalogue.report import Report
from catalogue.sources import Version
from catalogue.view import METHODS
from store.contract import Module

AT_ONCE: Final = 2
"""Modules tried at once."""

BATCH: Final = 200
BATCH_BYTES: Final = 64 * 1024 * 1024
"""Modules tried in one round, and their bundles together."""

MAX_ENDPOINTS: Final = 1000
MAX_NAMES: Final = 1000
"""Functions and imports listed of one module."""
MAX_PARAMETERS: Final = 100
MAX_REPORT_BYTES: Final = 4 * 1024 * 1024
_MAX_PROBLEM: Final = 2000
"""Characters of a problem that are kept."""

_API: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_LINE: Final = re.compile(r"\bline (\d{1,9})\b")

Inspect = Callable[[str, str, Mapping[str, str]], Awaitable[Reply]]
"""Has `(owner, module, candidates)` imported in a runner: the module, where all candidates (name → digest)
can be imported besides the modules the owner has. Does not raise."""


class Trial(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One version to be tried."""

    owner: str
    version: Version
    environment: str
    """Digest of the packages it is tried with."""

    @property
    def name(self) -> str:
        """Of the module."""
        return self.version.found.name


class Failure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a version does not serve."""

    text: str
    line: int | None = None
    temporary: bool = False
    """Not the module's fault: it is to be tried again by itself."""
    curable: bool = False
    """Another module, added or changed, may be what it lacks."""


Verdict = Report | Failure


class Trials:
    """The trials under way, and what came of those that ended. Used by one task."""

    def __init__(self, inspect: Inspect, ended: Callable[[], None]) -> None:
        self._inspect = inspect
        self._ended = ended
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: dict[str, tuple[Trial, asyncio.Task[None]]] = {}
        self._verdicts: list[tuple[Trial, Verdict]] = []

    @property
    def running(self) -> dict[str, Trial]:
        """By the name of the module."""
        return {name: trial for name, (trial, _) in self._running.items()}

    def start(self, trials: list[Trial]) -> None:
        """Tries modules that need each other together. Of a name that is being tried already nothing is started."""
        for owner in {trial.owner for trial in trials}:
            batch = [trial for trial in trials if trial.owner == owner]
            candidates = {trial.name: trial.version.digest for trial in batch}
            for trial in batch:
                if trial.name not in self._running:
                    task = asyncio.create_task(self._try(trial, candidates), name=f"try module {trial.name}")
                    self._running[trial.name] = (trial, task)

    async def wait(self, trials: list[Trial], seconds: float) -> None:
        """Returns when all of them have ended, or after so many seconds."""
        names = {trial.name for trial in trials}
        tasks = [task for name, (_, task) in self._running.items() if name in names]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def take(self) -> list[tuple[Trial, Verdict]]:
        """What came of those that ended since the last time."""
        taken, self._verdicts = self._verdicts, []
        return taken

    @property
    def ended(self) -> bool:
        """Whether there is something to take."""
        return bool(self._verdicts)

    async def close(self) -> None:
        """Gives up what is under way."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(self, trial: Trial, candidates: Mapping[str, str]) -> None:
        try:
            async with self._slots:
                reply = await self._inspect(trial.owner, trial.name, candidates)
            self._verdicts.append((trial, judge(reply)))
        finally:
            del self._running[trial.name]
        self._ended()


def first_batch(due: list[Trial]) -> list[Trial]:
    """As many of them, from the first on, as are tried in one round."""
    size = 0
    for number, trial in enumerate(due):
        size += trial.version.size
        if number and (number >= BATCH or size > BATCH_BYTES):
            return due[:number]
    return due


def as_stored(trial: Trial, report: Report) -> Module:
    """The module that a good version is."""
    return Module(
        owner=trial.owner,
        name=trial.name,
        alias=trial.version.header.alias,
        digest=trial.version.digest,
        source=trial.version.found.place,
        environment=trial.environment,
        report=msgspec.json.encode(report),
    )


def judge(reply: Reply) -> Verdict:
    """What a runner's answer says about a module. The runner, and so what it answers, is not trusted."""
    if reply.outcome is Outcome.VALUE:
        return _report(reply.payload)
    text = reply.payload[: _MAX_PROBLEM * 4].decode("utf-8", "replace")[:_MAX_PROBLEM]
    if reply.outcome in (Outcome.UNAVAILABLE, Outcome.OVER_LIMIT):
        return Failure(text=f"cannot be imported now: {text}", temporary=True)
    if reply.outcome is Outcome.IMPORT_FAILED:
        line = _LINE.search(text)
        return Failure(text=text, line=int(line[1]) if line else None, curable=True)
    if reply.outcome is Outcome.TIMED_OUT:
        return Failure(text=f"importing it took too long: {text}")
    if reply.outcome is Outcome.DIED:
        return Failure(text=f"importing it ended the process: {text}")
    return Failure(text=f"the runner gave no report but {reply.outcome.name}: {text}")


def _report(payload: bytes) -> Verdict:
    if len(payload) > MAX_REPORT_BYTES:
        return Failure(text=f"the report on its endpoints is larger than {MAX_REPORT_BYTES} bytes")
    try:
        report = reports.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Failure(text=f"the report on its endpoints is malformed: {error}")
    problem = _excess(report) or next(filter(None, map(_flaw, report.endpoints)), "") or _twice(report)
    return Failure(text=problem) if problem else report


def _excess(report: Report) -> str:
    """Which bound a report breaks; empty when none."""
    for what, count, most in (
        ("endpoints", len(report.endpoints), MAX_ENDPOINTS),
        ("functions", len(report.functions), MAX_NAMES),
        ("imports", len(report.imports), MAX_NAMES),
        ("parameters", max((len(one.parameters) for one in report.endpoints), default=0), MAX_PARAMETERS),
    ):
        if count > most:
            return f"{count} {what}, more than {most}"
    return ""


def _flaw(endpoint: reports.Endpoint) -> str:
    """What makes an endpoint impossible to serve; empty when nothing."""
    shown = ascii(endpoint.api[:80])
    if not _API.fullmatch(endpoint.api):
        return f"the API name {shown} is not 1 to 64 letters, digits, '_' and '-'"
    if not endpoint.methods or not set(endpoint.methods) <= set(METHODS):
        return f"the methods of {shown} are not among {', '.join(METHODS)}"
    if not _FUNCTION.fullmatch(endpoint.function[:200]) or len(endpoint.function) > 200:
        return f"the function of {shown} has no name that can be called"
    if endpoint.timeout is not None and not endpoint.timeout > 0:
        return f"the timeout of {shown} is not above 0"
    if endpoint.concurrency is not None and endpoint.concurrency < 1:
        return f"the concurrency of {shown} is not above 0"
    return ""


def _twice(report: Report) -> str:
    taken: set[tuple[str, str]] = set()
    for endpoint in report.endpoints:
        for method in endpoint.methods:
            if (method, endpoint.api) in taken:
                return f"{method} {endpoint.api} is exposed twice"
            taken.add((method, endpoint.api))
    return ""
