"""One measurement of one URL by `wrk`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

WRK: Final = "wrk"
PACKAGE: Final = "wrk"
"""Debian package that brings it."""
_SCRIPT: Final = Path(__file__).with_name("wrk.lua")
_LATE_SECS: Final = 10
"""Seconds wrk may take longer than asked for; it waits 2 s for an answer."""


class Invalid(Exception):
    """A measurement cannot be used; the message says why."""


class Unable(Exception):
    """This machine lacks what a measurement needs; the message says what, and how to get it."""


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one run of wrk measured."""

    requests: int
    secs: float
    p50_us: float
    p99_us: float
    refused: int
    """Answers with a status of 400 or above."""
    broken: int
    """Connections that failed."""
    timeouts: int

    @property
    def rps(self) -> float:
        """Answers per second."""
        return self.requests / self.secs


class Result(msgspec.Struct, frozen=True):
    """The medians of several samples."""

    p50_ms: float
    p99_ms: float
    rps: float


def found() -> bool:
    """Whether wrk is installed."""
    return shutil.which(WRK) is not None


def version() -> str:
    """As wrk names it."""
    # It exits with 1 after `-v`.
    said = subprocess.run([WRK, "-v"], capture_output=True, text=True, check=False, timeout=10).stdout
    return said.split("[")[0].removeprefix("wrk").strip()


def run(
    url: str,
    connections: int,
    secs: int,
    body: tuple[str, Path] | None = None,
    paths: Path | None = None,
    authorizations: Path | None = None,
) -> Sample:
    """Loads `url` from one thread for `secs`; `body` is a method and the file to send. `paths` is a file with a
    path a line, which take turns in place of the URL's own; `authorizations` one with an Authorization header a
    line, which take turns likewise. Raises Invalid when wrk fails or one answer was not right."""
    command = [WRK, "-t1", f"-c{connections}", f"-d{secs}", "--latency", "-s", str(_SCRIPT), url]
    if body is not None:
        command += ["--", body[0], str(body[1])]
    files = {"WRK_PATHS": paths, "WRK_AUTHORIZATIONS": authorizations}
    environ = {**os.environ, **{name: str(file) for name, file in files.items() if file is not None}}
    try:
        ended = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, timeout=secs + _LATE_SECS
        )
    except subprocess.TimeoutExpired as error:
        raise Invalid(f"wrk did not end within {secs + _LATE_SECS} s") from error
    if ended.returncode != 0:
        raise Invalid(f"wrk ended with {ended.returncode}: {ended.stderr.strip()[-200:]}")
    return parse(ended.stdout)


def parse(output: str) -> Sample:
    """The sample in what wrk printed. Raises Invalid when there is none, or not every answer was good."""
    last = output.rstrip().rpartition("\n")[2]
    try:
        sample = msgspec.json.decode(last, type=Sample)
    except msgspec.DecodeError as error:
        raise Invalid(f"wrk printed no result but {last[:100]!r}") from error
    faults = {"refused": sample.refused, "broken connections": sample.broken, "timeouts": sample.timeouts}
    if any(faults.values()) or not sample.requests:
        told = ", ".join(f"{count} {what}" for what, count in faults.items() if count)
        raise Invalid(f"of {sample.requests} requests: {told or 'none was answered'}")
    return sample


def medians(samples: Sequence[Sample]) -> Result:
    """Each figure's median of its own."""
    return Result(
        p50_ms=_median(sample.p50_us for sample in samples) / 1000,
        p99_ms=_median(sample.p99_us for sample in samples) / 1000,
        rps=_median(sample.rps for sample in samples),
    )


def _median(values: Iterable[float]) -> float:
    return median(list(values))
