"""How much is measured: enough to compare, and bounded in time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """One run of the benchmarks."""

    folder: Path
    """Temporary; holds the plugin and data folders and the logs of all that is started."""
    rounds: int
    """Rounds of each comparison; the systems take turns in each."""
    secs: int
    """Seconds of one measurement."""
    saves: int
    """Times a plugin file is saved."""
    starts: int
    """Later starts that are timed."""
    colds: int
    """First calls of tenants without a runner that are timed, of each sort."""

    def subfolder(self, name: str) -> Path:
        """A folder of the plan's, made when it is not there."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def __str__(self) -> str:
        return f"medians of {self.rounds} interleaved rounds of {self.secs} s each"


def full(folder: Path) -> Plan:
    """What results are made with."""
    return Plan(folder=folder, rounds=5, secs=1, saves=30, starts=3, colds=15)


def quick(folder: Path) -> Plan:
    """Whether everything works, and roughly how fast."""
    return Plan(folder=folder, rounds=1, secs=1, saves=5, starts=1, colds=2)
