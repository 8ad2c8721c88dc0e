"""Environment variables of the admin's functions: what the lines of a file say, followed while it changes."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from runner.pool import Environment
from store.variables import name_flaw

log = logging.getLogger("plugbay.variables")

MAX_BYTES: Final = 64 * 1024
"""Bytes of the file."""
LOOK_SECS: Final = 0.25
"""Seconds between two looks at the file: two that see the same take up a change."""

Signature = tuple[int, int, int]
"""Device and node, size, time of change: of one content of the file."""


class BadVariables(Exception):
    """The file cannot be used as it is; the message names the line and the reason, and no value."""


def read(file: Path, own: re.Pattern[str]) -> dict[str, str]:
    """The variables of `file`; none when it is not there. `own` matches the names of the platform's settings.

    Nothing in a value is filled in from the environment. Raises BadVariables.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise BadVariables(f"{file} has more than {MAX_BYTES} bytes")
        text = content.decode("utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadVariables(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadVariables(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error
    variables: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        where = f"{file}, line {binding.original.line}"
        if binding.error or (binding.key is not None and binding.value is None):
            raise BadVariables(f"{where}: it is not NAME=value")
        if binding.key is not None and binding.value is not None:
            if problem := _refusal(binding.key, own):
                raise BadVariables(f"{where}: {problem}")
            if "\0" in binding.value:
                raise BadVariables(f"{where}: {binding.key} has a NUL in its value")
            variables[binding.key] = binding.value
    return variables


def _refusal(name: str, own: re.Pattern[str]) -> str | None:
    if flaw := name_flaw(name):
        return flaw
    if own.fullmatch(name):
        return f"{name} is Plugbay's own: take another name"
    return None


class AdminVariables:
    """The admin's Environment: the variables of a file, and the packages of another one."""

    def __init__(self, file: Path, own: re.Pattern[str], packages: Environment) -> None:
        """See `read`. Raises BadVariables."""
        self.on_change: list[Callable[[], None]] = []
        """Called when other variables are in use than before."""
        self.changes = 0
        """How often that was."""
        self._file = file
        self._own = own
        self._packages = packages
        self._taken = self._signature()
        self._values = read(file, own)
        self._watching: asyncio.Task[None] | None = None

    def variables(self) -> dict[str, str]:
        """See Environment."""
        return {**self._packages.variables(), **self._values}

    def packages(self) -> list[str]:
        """See Environment."""
        return self._packages.packages()

    def start(self) -> None:
        """Follows the file from now on."""
        self._watching = asyncio.create_task(self._watch(), name="watch variables")

    async def close(self) -> None:
        """Stops following it."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        seen = self._taken
        while True:
            await asyncio.sleep(LOOK_SECS)
            before, seen = seen, self._signature()
            if seen == before and seen != self._taken:
                self._taken = seen
                self._update()

    def _update(self) -> None:
        try:
            values = read(self._file, self._own)
        except BadVariables as error:
            log.error("the variables of functions stay as they were: %s", error)
            return
        if values == self._values:
            return
        self._values = values
        self.changes += 1
        log.info("functions find %d variables of %s", len(values), self._file)
        for changed in self.on_change:
            changed()

    def _signature(self) -> Signature | None:
        """None when there is no file, or none that can be seen."""
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
