"""Waiting for what announces itself to nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_SECS = 30.0
"""Longer than any machine needs for what a test waits for."""


def eventually(condition: Callable[[], object], secs: float = PATIENCE_SECS) -> None:
    """Returns when the condition holds; fails when it does not in time."""
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


async def until(condition: Callable[[], object], secs: float = PATIENCE_SECS) -> None:
    """The same, for a test whose own event loop has to run for the condition to hold."""
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.005)
