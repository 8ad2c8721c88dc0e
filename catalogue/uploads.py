"""Modules that come over the network: tried in a runner of their tenant like any other, stored when good.

An upload wins over a file of the same name in a plugin folder: the file waits until the upload is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from catalogue import names
from catalogue.header import Header
from catalogue.report import Report
from catalogue.trials import Failure, Inspect, judge
from catalogue.unpacking import BadUpload, Limits, Unpacking
from store.contract import UPLOADED, Conflict, Module, ModuleSet, Status, Store

MAX_WAITING: Final = 32
"""Uploads and removals of one tenant under way at once; they take place one after the other."""
UPLOAD_SECS: Final = 40.0
"""Seconds until an upload is given up: others of its tenant took so long, or no runner was to be had."""
_ATTEMPTS: Final = 20
"""How often a change is tried again when another process changes the same tenant's modules meanwhile."""


class NotNow(Exception):
    """It was not stored, for no fault of the upload's; to be tried again."""


class TooMany(Exception):
    """The tenant has as many modules, or uploads under way, as it may; the message names the bound."""


class NoTenant(Exception):
    """There is no such tenant, or no more."""


class Disabled(Exception):
    """The tenant is disabled: its code is not run."""


class Uploads:
    """The uploaded modules of all tenants."""

    def __init__(self, store: Store, inspect: Inspect, limits: Limits, stored: Callable[[str], Awaitable[None]]):
        """`stored` shows the owner's modules as they are stored now."""
        self._store = store
        self._inspect = inspect
        self._max_modules = limits.max_modules
        self._stored = stored
        self._unpacking = Unpacking(limits)
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        """Of owners with uploads under way: whose turn it is, and how many there are."""

    async def close(self) -> None:
        """Ends the process that reads headers."""
        await self._unpacking.close()

    async def put(self, owner: str, name: str, data: bytes) -> bool:
        """Has this source, or package in a zip archive, serve as module `name`; True when there was no upload of
        this name.

        Raises BadUpload, NoTenant, Disabled, TooMany, NotNow or StoreUnavailable; what served before then serves on.
        """
        if flaw := names.flaw(name):
            raise BadUpload("name", flaw)
        try:
            async with asyncio.timeout(UPLOAD_SECS), self._turn(owner):
                return await self._put(owner, name, data)
        except TimeoutError as error:
            raise NotNow(f"it could not be imported within {UPLOAD_SECS:g} s") from error

    async def remove(self, owner: str, name: str) -> bool:
        """Has an uploaded module serve no more; False when there is none of this name."""

        def without(before: ModuleSet) -> tuple[list[Module], list[str]] | None:
            return ([], [name]) if name in _uploaded(before) else None

        async with self._turn(owner):
            return await self._change(owner, without) is not None

    async def _put(self, owner: str, name: str, data: bytes) -> bool:
        await self._require_enabled(owner)
        header, bundle = await self._unpacking.unpack(owner, name, data)
        digest = await self._store.put_bundle(bundle)
        known = _uploaded(await self._store.modules(owner)).get(name)
        if known is not None and known.digest == digest:
            return False
        verdict = judge(await self._inspect(owner, name, {name: digest}))
        if isinstance(verdict, Failure):
            if verdict.temporary:
                raise NotNow(verdict.text)
            raise BadUpload("source", verdict.text, verdict.line)
        module = _module(owner, name, digest, header, verdict)

        def besides(before: ModuleSet) -> tuple[list[Module], list[str]]:
            there = _uploaded(before)
            if name not in there and len(there) >= self._max_modules:
                raise TooMany(f"the tenant has {self._max_modules} uploaded modules (MAX_TENANT_MODULES)")
            return [module], []

        before = await self._change(owner, besides)
        return before is None or name not in _uploaded(before)

    async def _change(
        self, owner: str, change: Callable[[ModuleSet], tuple[list[Module], list[str]] | None]
    ) -> ModuleSet | None:
        """Puts and removes what `change` makes of the set as it is, and gives that; None when there is nothing to do."""
        for _ in range(_ATTEMPTS):
            before = await self._store.modules(owner)
            wanted = change(before)
            if wanted is None:
                return None
            try:
                await self._store.change_modules(owner, *wanted, revision=before.revision)
            except Conflict:
                continue
            except ValueError as error:  # the bundle was forgotten meanwhile
                raise NotNow(str(error)) from error
            if await self._store.tenant(owner) is None:
                await self._store.remove_tenant(owner)
                raise NoTenant(f"There is no tenant {owner} any more.")
            await self._stored(owner)
            return before
        raise NotNow("the modules of this tenant are being changed by others")

    async def _require_enabled(self, owner: str) -> None:
        tenant = await self._store.tenant(owner)
        if tenant is None:
            raise NoTenant(f"There is no tenant {owner}.")
        if tenant.status is not Status.ENABLED:
            raise Disabled(f"tenant {owner} is {tenant.status}: its code is not run")

    @contextlib.asynccontextmanager
    async def _turn(self, owner: str) -> AsyncIterator[None]:
        turn, waiting = self._turns.get(owner, (asyncio.Lock(), 0))
        if waiting >= MAX_WAITING:
            raise TooMany(f"{MAX_WAITING} uploads of this tenant are under way")
        self._turns[owner] = (turn, waiting + 1)
        try:
            async with turn:
                yield
        finally:
            _, waiting = self._turns.pop(owner)
            if waiting > 1:
                self._turns[owner] = (turn, waiting - 1)


def _uploaded(modules: ModuleSet) -> dict[str, Module]:
    return {module.name: module for module in modules.modules if module.source == UPLOADED}


def _module(owner: str, name: str, digest: str, header: Header, report: Report) -> Module:
    return Module(
        owner=owner,
        name=name,
        alias=header.alias,
        digest=digest,
        source=UPLOADED,
        environment="",
        report=msgspec.json.encode(report),
    )
