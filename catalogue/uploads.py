"""Modules that come over the network: tried in a runner of their owner like any other, stored when good.

An upload wins over a file of the same name in a plugin folder: the file waits until the upload is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from calls import bundle as bundles
from catalogue import names, signatures
from catalogue.header import Header
from catalogue.report import Report
from catalogue.signatures import BadSignature, Signature
from catalogue.signing_keys import SigningKeys
from catalogue.trials import Failure, Inspect, judge
from catalogue.unpacking import BadUpload, Limits, TooLarge, Unpacking
from catalogue.versions import NoVersion, history, uploaded_of, version_of
from store.contract import UPLOADED, Conflict, Module, ModuleSet, Status, Store, Tenant, Version

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
    """The tenant is disabled, or moves to an installation of its own: its code is not run, or not changed."""


class Uploads:
    """The uploaded modules of all tenants and admins."""

    def __init__(self, store: Store, inspect: Inspect, limits: Limits, stored: Callable[[str], Awaitable[None]]):
        """`stored` shows the owner's modules as they are stored now."""
        self.signing_keys = SigningKeys(store)
        """Whose signatures are taken."""
        self._store = store
        self._inspect = inspect
        self._limits = limits
        self._stored = stored
        self._unpacking = Unpacking(limits)
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        """Of owners with uploads under way: whose turn it is, and how many there are."""

    async def close(self) -> None:
        """Ends the process that reads headers."""
        await self._unpacking.close()

    async def put(self, owner: str, name: str, data: bytes, signature: Signature | None = None) -> bool:
        """Has this source, or package in a zip archive, serve as module `name`, as another version of it; True when
        there was no upload of this name.

        Raises BadUpload, BadSignature, NoTenant, Disabled, TooMany, NotNow or StoreUnavailable; what served before
        then serves on.
        """
        if flaw := names.flaw(name):
            raise BadUpload("name", flaw)
        async with self._in_time(owner):
            return await self._put(owner, name, data, signature)

    async def activate(self, owner: str, name: str, number: int) -> None:
        """Has a version that is kept serve again. Raises NoVersion, and as `put` does."""
        async with self._in_time(owner):
            await self._activate(owner, name, number)

    async def versions(self, owner: str, name: str) -> Module:
        """An uploaded module, with its versions. Raises NoVersion when there is none, or StoreUnavailable."""
        module = uploaded_of(await self._store.modules(owner)).get(name)
        if module is None:
            raise NoVersion(f"There is no uploaded module {name[:63]}.")
        return module

    async def content(self, owner: str, name: str, number: int) -> dict[str, bytes]:
        """The files of a version. Raises NoVersion or StoreUnavailable."""
        version = version_of(await self.versions(owner, name), number)
        return bundles.unpack(await self._bundle(name, version))

    async def remove(self, owner: str, name: str) -> bool:
        """Has an uploaded module serve no more; False when there is none of this name."""

        def without(before: ModuleSet) -> tuple[list[Module], list[str]] | None:
            return ([], [name]) if name in uploaded_of(before) else None

        async with self._turn(owner):
            return await self._change(owner, without) is not None

    async def _put(self, owner: str, name: str, data: bytes, signature: Signature | None) -> bool:
        tenant = await self._enabled(owner)
        if signature is not None:
            signatures.check(tenant, name, data, signature)
        elif tenant.role in self._limits.signed:
            raise BadSignature("an upload has to be signed (REQUIRE_SIGNED_MODULES): plugbay keys, plugbay deploy")
        self._require_small(tenant, len(data))
        header, bundle = await self._unpacking.unpack(owner, name, data)
        self._require_small(tenant, len(bundle))
        digest = await self._store.put_bundle(bundle)
        known = uploaded_of(await self._store.modules(owner)).get(name)
        is_there = known is not None and known.digest == digest
        report = None if is_there else await self._inspected(owner, name, digest)
        if signature is not None:
            await self._count(owner, name, signature)
        if report is None:
            return False
        module = _module(owner, name, digest, header, report)
        uploaded, signer = time.time(), signature.key if signature is not None else ""

        def besides(before: ModuleSet) -> tuple[list[Module], list[str]]:
            there = uploaded_of(before)
            if name not in there:
                self._require_room(tenant, len(there))
            earlier = history(there.get(name))
            number = earlier[-1].number + 1 if earlier else 1
            kept = (*earlier, Version(number, digest, uploaded, signer))[-self._limits.max_versions :]
            return [msgspec.structs.replace(module, version=number, versions=kept)], []

        before = await self._change(owner, besides)
        return before is None or name not in uploaded_of(before)

    def _require_small(self, tenant: Tenant, size: int) -> None:
        """Raises TooLarge when an upload has more bytes than the tenant's plan allows."""
        bounds = self._limits.of_plan(tenant.plan)
        if bounds.bundle_bytes is not None and size > bounds.bundle_bytes:
            told = f"plan {bounds.plan}: at most {bounds.bundle_bytes} bytes of one module, packed and unpacked"
            raise TooLarge("body", told)

    def _require_room(self, tenant: Tenant, there: int) -> None:
        """Raises TooMany when the tenant has as many modules as it may."""
        bounds = self._limits.of_plan(tenant.plan)
        if bounds.modules is not None and there >= bounds.modules:
            raise TooMany(f"plan {bounds.plan}: at most {bounds.modules} uploaded modules")
        if there >= self._limits.max_modules:
            raise TooMany(f"the tenant has {self._limits.max_modules} uploaded modules (MAX_TENANT_MODULES)")

    async def _activate(self, owner: str, name: str, number: int) -> None:
        tenant = await self._enabled(owner)
        known = await self.versions(owner, name)
        version = version_of(known, number)
        if tenant.role in self._limits.signed and not version.signed_by:
            raise BadSignature(f"version {number} is not signed (REQUIRE_SIGNED_MODULES): deploy it anew")
        if known.version == number:
            return
        header = await self._unpacking.header_of(owner, name, await self._bundle(name, version))
        module = _module(owner, name, version.digest, header, await self._inspected(owner, name, version.digest))

        def again(before: ModuleSet) -> tuple[list[Module], list[str]]:
            there = uploaded_of(before).get(name)
            if there is None or version not in there.versions:
                raise NoVersion(f"There is no version {number} of module {name} any more.")
            return [msgspec.structs.replace(module, version=number, versions=there.versions)], []

        await self._change(owner, again)

    async def _inspected(self, owner: str, name: str, digest: str) -> Report:
        """What importing this version gave. Raises BadUpload or NotNow."""
        verdict = judge(await self._inspect(owner, name, {name: digest}))
        if not isinstance(verdict, Failure):
            return verdict
        if verdict.temporary:
            raise NotNow(verdict.text)
        raise BadUpload("source", verdict.text, verdict.line)

    async def _count(self, owner: str, name: str, signature: Signature) -> None:
        if not await signatures.count(self._store, owner, name, signature):
            raise NoTenant(f"There is no tenant {owner} any more.")

    async def _bundle(self, name: str, version: Version) -> bytes:
        bundle = await self._store.bundle(version.digest)
        if bundle is None:  # the version was dropped since it was looked up
            raise NoVersion(f"There is no version {version.number} of module {name} any more.")
        return bundle

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
            tenant = await self._store.tenant(owner)
            if tenant is None:
                await self._store.remove_tenant(owner)
                raise NoTenant(f"There is no tenant {owner} any more.")
            if tenant.address:  # what moves along may have been copied before
                raise Disabled(f"tenant {owner} moves to {tenant.address}: try it there")
            await self._stored(owner)
            return before
        raise NotNow("the modules of this tenant are being changed by others")

    async def _enabled(self, owner: str) -> Tenant:
        tenant = await self._store.tenant(owner)
        if tenant is None:
            raise NoTenant(f"There is no tenant {owner}.")
        if tenant.status is not Status.ENABLED:
            raise Disabled(f"{tenant.standing}: its code is not run")
        return tenant

    @contextlib.asynccontextmanager
    async def _in_time(self, owner: str) -> AsyncIterator[None]:
        """The owner's turn, and no more time than an upload may take. Raises NotNow."""
        try:
            async with asyncio.timeout(UPLOAD_SECS), self._turn(owner):
                yield
        except TimeoutError as error:
            raise NotNow(f"it could not be imported within {UPLOAD_SECS:g} s") from error

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
