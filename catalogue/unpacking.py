"""What was uploaded, as the files of a module: one source, or a package in a zip archive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from typing import Final

import msgspec

from calls import bundle as bundles
from catalogue import zipped
from catalogue.header import Header, HeaderReader
from catalogue.header_process import BadSource, decoded
from store.contract import Role

ZIP_BEGINS: Final = b"PK"
"""How a zip archive begins, and no source does."""


class BadUpload(Exception):
    """What was uploaded cannot serve. `field` is `name`, `source` or `bundle`; `line` is that of the source, where
    known."""

    def __init__(self, field: str, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.field = field
        self.text = text
        self.line = line


class TooLarge(BadUpload):
    """It holds more than it may; the message names the setting."""


class PlanBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much a tenant with one plan may upload; None: as much as any."""

    plan: str
    modules: int | None
    bundle_bytes: int | None
    """Bytes of one upload, packed and unpacked."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a tenant or further admin may upload. Sources and packages in plugin folders are no larger."""

    max_source: int
    """Bytes of one source."""
    max_bundle: int
    """Bytes of all files of a package."""
    max_modules: int
    of_plan: Callable[[str], PlanBounds]
    """What a tenant with this plan may, where that is less."""
    max_versions: int
    """Versions of one module that are kept."""
    signed: Set[Role]
    """Whose uploads have to be signed."""


class Unpacking:
    """Unpacks one upload at a time, so that what it takes of memory is bounded whoever uploads what."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._headers = HeaderReader()
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """Ends the process that reads headers."""
        await self._headers.close()

    async def unpack(self, owner: str, name: str, data: bytes) -> tuple[Header, bytes]:
        """The header of an upload, and its bundle. Raises BadUpload."""
        if not data.startswith(ZIP_BEGINS):
            if len(data) > self._limits.max_source:
                raise TooLarge("source", f"A source has at most {self._limits.max_source} bytes (MAX_SOURCE_BYTES).")
            return await self.header(owner, data), bundles.pack({f"{name}.py": data})
        async with self._turn:
            found, packed = await asyncio.to_thread(self._unzipped, name, data)
        return await self.header(owner, found), packed

    async def header_of(self, owner: str, name: str, bundle: bytes) -> Header:
        """The header of a bundle that was taken before. Raises BadUpload."""
        content = bundles.unpack(bundle)
        return await self.header(owner, content.get(f"{name}.py") or content.get(f"{name}/__init__.py", b""))

    async def header(self, owner: str, source: bytes) -> Header:
        """The header of a source that is to be this owner's. Raises BadUpload."""
        header = await self._headers.read(source)
        if header.problem:
            raise BadUpload("source", header.problem, header.line or None)
        if header.owner not in (None, owner):
            raise BadUpload("source", "its __ID__ is that of somebody else: leave it out, or write the tenant's own")
        return header

    def _unzipped(self, name: str, data: bytes) -> tuple[bytes, bytes]:
        """The source of a package's `__init__.py`, and its bundle. In a thread of its own. Raises BadUpload."""
        limits = self._limits
        try:
            content = zipped.read(data, name, max_source=limits.max_source, max_bundle=limits.max_bundle)
        except zipped.TooLarge as error:
            raise TooLarge("bundle", str(error)) from error
        except zipped.BadZip as error:
            raise BadUpload("bundle", str(error)) from error
        for path, source in content.items():
            if path.endswith(".py"):
                try:
                    decoded(source)
                except BadSource as error:
                    raise BadUpload("bundle", f"{zipped.shown(path)}: {error}", error.line or None) from error
        return content[f"{name}/__init__.py"], bundles.pack(content)
