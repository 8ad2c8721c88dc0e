"""Copies what a store holds into a file (see store.records), and what a file holds into a store, of whichever kinds.

A file is checked as a whole before anything of it is stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import BinaryIO, Final

import msgspec

from store.contract import Conflict, Module, Store, Tenant, TenantChange
from store.records import (
    FORMAT,
    AuditRecord,
    Begin,
    BundleRecord,
    ModuleRecord,
    Record,
    SettingRecord,
    TenantRecord,
    VariablesRecord,
    Writing,
    check,
    records,
)

_BATCH: Final = 100
"""Modules of one owner that are stored in one step."""
_ENTRIES: Final = 100
"""Entries of the audit trail that are one record."""


class Interfered(Exception):
    """Somebody else changed what is being copied; to be tried again."""


class Copied(msgspec.Struct):
    """How much was copied."""

    tenants: int = 0
    settings: int = 0
    modules: int = 0
    bundles: int = 0
    entries: int = 0
    """Of the audit trail."""


async def export_store(store: Store, file: BinaryIO) -> Copied:
    """Writes all that the store holds.

    Raises StoreUnavailable, Interfered or OSError; the file is then not complete.
    """
    copied = Copied()
    writing = Writing()

    def write(record: Record) -> None:
        file.write(writing.bytes_of(record))

    write(Begin(FORMAT))
    for tenant in await store.tenants():
        write(TenantRecord(tenant))
        copied.tenants += 1
    for owner in await store.variables.owners():
        write(VariablesRecord(owner, (await store.variables.get(owner)).sealed))
    for name, value in (await store.settings()).items():
        write(SettingRecord(name, value))
        copied.settings += 1
    before = ""
    while entries := await store.audit.find("", "", before, _ENTRIES):
        write(AuditRecord(tuple(entries)))
        copied.entries += len(entries)
        before = entries[-1].id
    digests: set[str] = set()
    for owner in await store.owners():
        async for record in _modules(store, owner, digests):
            write(record)
            copied.modules += isinstance(record, ModuleRecord)
    copied.bundles = len(digests)
    file.write(writing.end())
    return copied


async def export_tenant(store: Store, tenant: Tenant) -> AsyncIterator[bytes]:
    """The parts of a file with all that one tenant has. Raises StoreUnavailable and Interfered."""
    writing = Writing()
    yield writing.bytes_of(Begin(FORMAT))
    yield writing.bytes_of(TenantRecord(tenant))
    if sealed := (await store.variables.get(tenant.uuid)).sealed:
        yield writing.bytes_of(VariablesRecord(tenant.uuid, sealed))
    async for record in _modules(store, tenant.uuid, set()):
        yield writing.bytes_of(record)
    yield writing.end()


async def _modules(store: Store, owner: str, digests: set[str]) -> AsyncIterator[Record]:
    """The owner's modules, each behind those of its bundles that are not among `digests` yet."""
    for module in (await store.modules(owner)).modules:
        for digest in sorted(module.digests - digests):
            data = await store.bundle(digest)
            if data is None:
                raise Interfered(f"module {module.name} was changed while it was copied: try again")
            yield BundleRecord(data)
            digests.add(digest)
        yield ModuleRecord(module)


async def import_store(store: Store, file: BinaryIO) -> Copied:
    """Stores all that a seekable file holds, in place of what has the same name; what else is there stays.

    Can be repeated. Raises BadFile before anything is stored; StoreUnavailable, Interfered or OSError when
    some is.
    """
    start = file.tell()
    check(file)
    file.seek(start)
    copied = Copied()
    batch: list[Module] = []
    for record in records(file):
        if batch and not (isinstance(record, ModuleRecord | BundleRecord) and len(batch) < _BATCH):
            await _put(store, batch)
        match record:
            case TenantRecord(tenant):
                await _put_tenant(store, tenant)
                copied.tenants += 1
            case VariablesRecord(owner, sealed):
                await _put_variables(store, owner, sealed)
            case SettingRecord(name, value):
                await store.put_setting(name, value)
                copied.settings += 1
            case AuditRecord(entries):
                await store.audit.add(entries)
                copied.entries += len(entries)
            case BundleRecord(data):
                await store.put_bundle(data)
                copied.bundles += 1
            case ModuleRecord(module):
                if batch and batch[0].owner != module.owner:
                    await _put(store, batch)
                batch.append(module)
                copied.modules += 1
    return copied


async def _put(store: Store, batch: list[Module]) -> None:
    try:
        await store.change_modules(batch[0].owner, batch, [])
    except ValueError as error:
        raise Interfered(f"{error}, or forgotten since: try again") from error
    batch.clear()


async def _put_tenant(store: Store, tenant: Tenant) -> None:
    change = TenantChange(
        name=tenant.name or None,
        plan=tenant.plan,
        status=tenant.status,
        address=tenant.address,
        admin=tenant.admin,
        key=tenant.key or None,
        token_keys=tenant.token_keys or None,
        signing_keys=tenant.signing_keys or None,
        signatures=tenant.signatures or None,
        api_keys=tenant.api_keys or None,
    )
    there = await store.tenant(tenant.uuid)
    if there is not None and there.role is not tenant.role:
        raise Interfered(f"{tenant.uuid} is {there.role} here, and {tenant.role} there: remove one of them")
    try:
        if await store.change_tenant(tenant.uuid, change) is None:
            await store.add_tenant(tenant)
    except Conflict as error:
        raise Interfered(f"tenant {tenant.uuid}: {error}; give one of them another name") from error


async def _put_variables(store: Store, owner: str, sealed: str) -> None:
    try:
        await store.variables.put(owner, sealed, (await store.variables.get(owner)).revision)
    except Conflict as error:
        raise Interfered(f"{error}: try again") from error
