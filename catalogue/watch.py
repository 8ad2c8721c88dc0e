"""Notices changes in folders soon; the catalogue's slow rescan finds what this misses."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from catalogue.files import ignored

log = logging.getLogger("plugbay.catalogue")
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of each change, as the catalogue does

_QUIET_MS: Final = 20
"""Milliseconds without a further change after which changes are told."""

_GATHER_MS: Final = 100
"""Milliseconds after which they are told in any case."""

_CHECK_MS: Final = 500
"""Milliseconds after which folders that went away, came or were exchanged are noticed."""


class FolderWatch:
    """Calls `changed` after changes directly in any of the folders, and when a folder comes or goes.

    Folders are watched one by one and not with all that is below: a link to `/` among the plugins must
    not make this watch the whole machine.
    """

    def __init__(self, folders: Iterable[Path], changed: Callable[[], None]) -> None:
        self._roots = tuple(folders)
        self._changed = changed
        self._folders = frozenset(str(root) for root in self._roots)
        self._restart = asyncio.Event()
        self._stopped = False
        self.working = True
        """False while changes cannot be noticed, because the system refuses or no folder is there."""

    def watch(self, folders: frozenset[str]) -> None:
        """Watches these folders from now on, besides the first ones."""
        wanted = folders | {str(root) for root in self._roots}
        if wanted != self._folders:
            self._folders = wanted
            self._restart.set()

    def stop(self) -> None:
        """Makes `run` return soon."""
        self._stopped = True
        self._restart.set()

    async def run(self) -> None:
        """Watches until it is stopped."""
        while not self._stopped:
            self._restart = asyncio.Event()
            roots = self._identities()
            try:
                await self._watch_while(roots)
            # RuntimeError is watchfiles' own, for instance for a name that is not UTF-8; it comes in a group.
            except* (OSError, RuntimeError) as errors:
                if self.working:
                    why = "; ".join(map(str, errors.exceptions))
                    log.warning("plugin folders are looked at every half second: they cannot be watched (%s)", why)
                self.working = False
                await asyncio.sleep(_CHECK_MS / 1000)
            # The next watch is set up before whoever is told gets to look: no change falls between the two.
            self._changed()

    async def _watch_while(self, roots: dict[Path, tuple[int, int]]) -> None:
        """Watches what is there until another set of folders is to be watched."""
        folders = [folder for folder in self._folders if os.path.isdir(folder)]  # noqa: ASYNC240, PTH112  # as many as packages
        if not folders:
            raise FileNotFoundError("none of them is there")
        changes = awatch(
            *folders,
            watch_filter=self._matters,
            debounce=_GATHER_MS,
            step=_QUIET_MS,
            stop_event=self._restart,
            rust_timeout=_CHECK_MS,
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        )
        async with aclosing(changes):
            async for batch in changes:
                self.working = True
                if batch:
                    self._changed()
                # A watch ends silently with its folder, also when another one takes its place.
                moved = any(path in self._folders for change, path in batch if change is not Change.modified)
                if moved or self._identities() != roots:
                    return

    def _identities(self) -> dict[Path, tuple[int, int]]:
        """Which folder stands at each of the first paths, where there is one."""
        found: dict[Path, tuple[int, int]] = {}
        for root in self._roots:
            try:
                status = root.stat()
            except OSError:
                continue
            found[root] = (status.st_dev, status.st_ino)
        return found

    def _matters(self, _change: Change, path: str) -> bool:
        return path in self._folders or not ignored(path.rpartition("/")[2])
