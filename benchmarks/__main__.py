"""`python -m benchmarks`: what `benchmarks/run.sh` runs."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks import load, plan, report
from benchmarks.load import Invalid, Unable
from benchmarks.rows import ROWS

FOLDER: Final = Path(__file__).parent
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EX_INVALID: Final = 1
EX_MISSING: Final = 2


def main() -> int:
    """Measures the rows named and prints the report. 1: a row is invalid; 2: something is missing here."""
    chosen = _arguments()
    if not load.found():
        print(f"benchmarks: {load.WRK} is missing: apt-get install {load.PACKAGE}", file=sys.stderr)
        return EX_MISSING
    for number in _ENDING:
        signal.signal(number, _end)
    rows = chosen.rows or list(ROWS)
    tables: list[report.Table] = []
    unable: list[str] = []
    with tempfile.TemporaryDirectory(prefix="plugbay-benchmarks-") as folder:
        planned = (plan.quick if chosen.quick else plan.full)(Path(folder))
        facts = report.machine(str(planned))
        for name in rows:
            began = time.monotonic()
            print(f"{name} … ", end="", file=sys.stderr, flush=True)
            try:
                tables.append(ROWS[name](planned))
            except Invalid as error:
                tables.append(report.invalid(name, error))
            except Unable as error:
                tables.append(report.unable(name, error))
                unable.append(f"NOT MEASURED: {name}: {error}")
            print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    text = report.document(tables, facts)
    print(text)
    if chosen.save:
        _save(text, complete=set(rows) == set(ROWS) and not chosen.quick and not unable)
    print(*unable, sep="\n", end="\n" if unable else "", file=sys.stderr)
    if not all(table.valid for table in tables):
        return EX_INVALID
    return EX_MISSING if unable else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh", description="How fast Plugbay is, beside others.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"what to measure: {', '.join(ROWS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="one short round of each: whether everything works")
    parser.add_argument("--save", action="store_true", help="also write the report to benchmarks/results/")
    chosen = parser.parse_args()
    if unknown := [row for row in chosen.rows if row not in ROWS]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return chosen


def _save(text: str, *, complete: bool) -> None:
    """Keeps the report by date; a complete one is also what the repository shows."""
    dated = FOLDER / "results" / f"{datetime.now(UTC):%Y-%m-%d-%H%M}.md"
    for file in (dated, FOLDER / "RESULTS.md") if complete else (dated,):
        file.write_text(text)
        print(f"written: {file}", file=sys.stderr)


def _end(number: int, _: FrameType | None) -> None:
    """Unwinds, so that everything that was started is stopped; another signal does not cut that short."""
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
