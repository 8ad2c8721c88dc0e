"""A log in a file of bounded size, for a platform that nobody's terminal or service manager reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MAX_FILE: Final = 32 * 1024 * 1024
"""Bytes of the file; one that is full is kept beside it, so that twice as much is on disk."""


class LogFile:
    """Appends to a file that only this user reads."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when it cannot be written."""
        self._path = path
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size

    def room(self, size: int) -> int:
        """A descriptor to which so many bytes may be written. The file that has no room for them takes the place of
        the one that was full before, as `<name>.1`. Raises OSError."""
        if self._size and self._size + size > MAX_FILE:
            self._path.replace(f"{self._path}.1")
            os.close(self._fd)
            self._fd, self._size = self._open(), 0
        self._size += size
        return self._fd

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
