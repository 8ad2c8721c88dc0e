"""The versions of modules that stand in the plugin folders now, once they have been written to the end."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from calls import bundle as bundles
from catalogue.files import Unusable
from catalogue.folder import Folders, Found, Scan
from catalogue.header import Header, HeaderReader
from catalogue.view import Skipped

SETTLE_SECS: Final = 0.04
"""Seconds between two looks at something that may be in the middle of being written or replaced."""

FRESH_SECS: Final = 0.02
"""Seconds after being written to in which a file may still be written to."""

EMPTY_SECS: Final = 0.3
"""The same of a file that is empty: some programs save by truncating first and writing later."""

_ROUNDS: Final = 10
"""Looks after which what is there is taken as it is."""


class Version(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One module as it stands in a plugin folder."""

    found: Found
    digest: str
    """Content address of its bundle; empty when it could not be read."""
    size: int
    """Bytes of its bundle."""
    header: Header


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """All plugin folders at one moment."""

    versions: dict[str, Version]
    unusable: frozenset[str]
    """Modules that are there, and skipped because of what they hold now."""
    skipped: tuple[Skipped, ...]
    folders: frozenset[str]
    """All folders whose changes matter."""


class Sources:
    """Looks at the plugin folders. What did not change since the last look is not read again."""

    def __init__(self, folders: Folders, headers: HeaderReader) -> None:
        self._folders = folders
        self._headers = headers
        self._versions: dict[str, Version] = {}
        self.known: dict[tuple[str, str], Header] = {}
        """Headers that were read before, by name and digest of the module."""

    async def look(self) -> Seen:
        """What is there. For one task at a time."""
        scan = await self._settled()
        versions: dict[str, Version] = {}
        for name, found in scan.modules.items():
            before = self._versions.get(name)
            versions[name] = before if before and before.found == found else await self._read(found)
        self._versions = versions
        return Seen(versions=versions, unusable=scan.unusable, skipped=scan.skipped, folders=scan.folders)

    async def bundle(self, version: Version) -> bytes | None:
        """The bundle of exactly this version; None when another one stands there by now."""
        try:
            data = await asyncio.to_thread(self._pack, version.found)
        except Unusable:
            return None
        return data if bundles.digest(data) == version.digest else None

    async def standing(self, versions: list[Version]) -> set[str]:
        """Names of those of them that stand in their folder still."""
        return await asyncio.to_thread(
            lambda: {version.found.name for version in versions if self._folders.still(version.found)}
        )

    async def _settled(self) -> Scan:
        """The folders, after another look where something seems to be in the middle of a change.

        A module that is missing may be about to be replaced: it is believed gone when it is missing twice.
        """
        missed: set[str] = set()
        for _ in range(_ROUNDS):
            scan = await asyncio.to_thread(self._folders.scan)
            missing = self._versions.keys() - scan.modules.keys()
            if missing <= missed and not self._fresh(scan):
                break
            missed |= missing
            await asyncio.sleep(SETTLE_SECS)
        return scan

    def _fresh(self, scan: Scan) -> bool:
        """Whether something was written to just now."""
        now = time.time()
        for name, found in scan.modules.items():
            before = self._versions.get(name)
            if before is None or before.found != found:
                age = now - found.modified
                if 0 <= age < (EMPTY_SECS if found.empty else FRESH_SECS):
                    return True
        return False

    async def _read(self, found: Found) -> Version:
        try:
            data, main = await asyncio.to_thread(self._load, found)
        except Unusable as error:
            return Version(found=found, digest="", size=0, header=Header(problem=str(error)))
        digest = bundles.digest(data)
        header = self.known.get((found.name, digest)) or await self._headers.read(main)
        return Version(found=found, digest=digest, size=len(data), header=header)

    def _load(self, found: Found) -> tuple[bytes, bytes]:
        """The module's bundle and the source its header is in."""
        content = self._folders.read(found)
        main = content.get(found.path if found.path.endswith(".py") else f"{found.path}/__init__.py")
        if main is None:
            raise Unusable("its __init__.py is gone")
        return bundles.pack(content), main

    def _pack(self, found: Found) -> bytes:
        return bundles.pack(self._folders.read(found))
