"""An owner's modules as its workers are given them: one encoded block, kept at the newest revision."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from calls import frames
from store.contract import ModuleSet


class ModuleSource(Protocol):
    """The part of the store a runner host reads."""

    async def modules(self, owner: str) -> ModuleSet:
        """The owner's modules at their newest revision."""

    async def bundle(self, digest: str) -> bytes | None:
        """The bundle at this content address."""


class OwnerModules:
    """The frames that make an owner's modules known to a worker."""

    def __init__(self, owner: str, source: ModuleSource) -> None:
        self.revision = 0
        self.encoded = b""
        """Frames of all modules."""
        self._owner = owner
        self._source = source
        self._frames: dict[str, tuple[str, bytes]] = {}
        self._lock = asyncio.Lock()

    async def refresh(self, revision: int) -> None:
        """Reads the newest set, unless what is there is at least `revision` already."""
        async with self._lock:
            if 0 < revision <= self.revision:
                return
            newest = await self._source.modules(self._owner)
            if newest.revision > self.revision:
                wanted = {module.name: module.digest for module in newest.modules}
                self._frames = await self._collect(wanted)
                self.encoded = b"".join(frame for _, frame in self._frames.values())
                self.revision = newest.revision

    async def encoded_with(self, candidates: Mapping[str, str]) -> bytes:
        """The frames of all modules with some of them (name → digest) replaced or added."""
        current = {name: digest for name, (digest, _) in self._frames.items()}
        return b"".join(frame for _, frame in (await self._collect(current | dict(candidates))).values())

    async def _collect(self, wanted: Mapping[str, str]) -> dict[str, tuple[str, bytes]]:
        collected: dict[str, tuple[str, bytes]] = {}
        for name, digest in wanted.items():
            known = self._frames.get(name)
            if known is not None and known[0] == digest:
                collected[name] = known
                continue
            data = await self._source.bundle(digest)
            if data is not None:  # else a newer set, without it, is on its way
                collected[name] = (digest, frames.encode(frames.Bundle(name, data)))
        return collected
