"""A user id of its own for every runner: the kernel counts pipes, watches and keys per user, across containers."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import Final

REST_SECS: Final = 3600.0
"""Seconds a user id stays unused after its runner is gone."""


class NoUid(Exception):
    """Every user id is in use, or was within the last hour."""


class Uids:
    """The user ids `first` … `first + count - 1`."""

    def __init__(self, first: int, count: int) -> None:
        self._first = first
        self._count = count
        # From anywhere in the range: the ids this host's predecessor used last are left alone as well.
        self._offset = random.randrange(count)
        self._taken = 0
        self._resting: deque[tuple[float, int]] = deque()

    def take(self) -> int:
        """One that nobody had within the last hour. Raises NoUid."""
        if self._taken < self._count:
            self._taken += 1
            return self._first + (self._offset + self._taken) % self._count
        if self._resting and time.monotonic() - self._resting[0][0] >= REST_SECS:
            return self._resting.popleft()[1]
        raise NoUid(
            f"all {self._count} user ids for runners ({self._first} to {self._first + self._count - 1}) "
            f"are in use or were within {REST_SECS:g} s"
        )

    def give_back(self, uid: int) -> None:
        """Its runner is gone."""
        self._resting.append((time.monotonic(), uid))
