"""Counts what is run: every call leaves its mark."""

from __future__ import annotations

import os
import time
from pathlib import Path

import expose

MARKS = Path("/tmp/marks")


@expose.endpoint(method="GET|PUT|POST")
def once(mark: str) -> str:
    """Leaves a mark."""
    return slow(mark, 0.01)


@expose.endpoint()
def slow(mark: str, secs: float) -> str:
    """The same, and takes its time."""
    file = os.open(MARKS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{mark}\n".encode())
    os.close(file)
    time.sleep(secs)
    return mark


@expose.endpoint()
def count(mark: str) -> int:
    """How often this one was left since they were last asked for."""
    return MARKS.read_text().split().count(mark) if MARKS.exists() else 0


@expose.endpoint()
def marks() -> list[str]:
    """All that were left since they were last asked for."""
    found = MARKS.read_text().split()
    MARKS.unlink()
    return found
