"""Copies what a store holds into a file, and what a file holds into a store, of whichever kinds.

The file is a sequence of records, each 4 bytes of length (big-endian) and one MessagePack struct: `Begin`,
then tenants, their variables, settings, the audit trail, bundles and modules, a bundle before the first module that
names it, then `End` with the digest of all before. It is checked as a whole before anything of it is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from calls import bundle as bundles
from store.audit import Entry
from store.contract import Conflict, Module, Store, Tenant, TenantChange

FORMAT: Final = 6
"""1 had of a tenant its UUID and status alone, 2 no variables, 3 no earlier versions and no keys for signatures, 4 no
audit trail, 5 no API keys."""
MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
"""Bytes of one record; the largest is a bundle."""
_BATCH: Final = 100
"""Modules of one owner that are stored in one step."""
_ENTRIES: Final = 100
"""Entries of the audit trail that are one record."""


class BadFile(Exception):
    """The file is none that can be imported; the message says why. Nothing was stored."""


class Interfered(Exception):
    """Somebody else changed what is being copied; to be tried again."""


class Begin(msgspec.Struct, frozen=True, tag=True):
    """What file this is."""

    format: int
    made_by: str = "plugbay"


class TenantRecord(msgspec.Struct, frozen=True, tag=True):
    """One tenant."""

    tenant: Tenant


class VariablesRecord(msgspec.Struct, frozen=True, tag=True):
    """Variables of one tenant, sealed: to be read with the SECRETS_KEY they were made with alone."""

    owner: str
    sealed: str


class SettingRecord(msgspec.Struct, frozen=True, tag=True):
    """One run-time setting."""

    name: str
    value: str


class AuditRecord(msgspec.Struct, frozen=True, tag=True):
    """Part of the audit trail."""

    entries: tuple[Entry, ...]


class BundleRecord(msgspec.Struct, frozen=True, tag=True):
    """One bundle."""

    data: bytes


class ModuleRecord(msgspec.Struct, frozen=True, tag=True):
    """One module."""

    module: Module


class End(msgspec.Struct, frozen=True, tag=True):
    """The file is complete."""

    digest: bytes
    """SHA-256 of every byte before this record."""


Record = Begin | TenantRecord | VariablesRecord | SettingRecord | AuditRecord | BundleRecord | ModuleRecord | End

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Record)


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
    written = hashlib.sha256()

    def write(record: Record) -> None:
        encoded = _encoder.encode(record)
        for part in (len(encoded).to_bytes(4, "big"), encoded):
            file.write(part)
            written.update(part)

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
        for module in (await store.modules(owner)).modules:
            for digest in sorted(module.digests - digests):
                data = await store.bundle(digest)
                if data is None:
                    raise Interfered(f"module {module.name} was changed while it was copied: try again")
                write(BundleRecord(data))
                digests.add(digest)
            write(ModuleRecord(module))
            copied.modules += 1
    copied.bundles = len(digests)
    write(End(written.digest()))
    return copied


async def import_store(store: Store, file: BinaryIO) -> Copied:
    """Stores all that a seekable file holds, in place of what has the same name; what else is there stays.

    Can be repeated. Raises BadFile before anything is stored; StoreUnavailable, Interfered or OSError when
    some is.
    """
    start = file.tell()
    _check(file)
    file.seek(start)
    copied = Copied()
    batch: list[Module] = []
    for record in _records(file):
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


def _check(file: BinaryIO) -> None:
    """Reads to the end. Raises BadFile."""
    digests: set[str] = set()
    for record in _records(file):
        if isinstance(record, BundleRecord):
            digests.add(bundles.digest(record.data))
        elif isinstance(record, ModuleRecord) and not record.module.digests <= digests:
            raise BadFile(f"the file is damaged: it lacks a bundle of module {record.module.name}")


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
        key=tenant.key or None,
        token_keys=tenant.token_keys or None,
        signing_keys=tenant.signing_keys or None,
        signatures=tenant.signatures or None,
        api_keys=tenant.api_keys or None,
    )
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


def _records(file: BinaryIO) -> Iterator[Record]:
    """The records from here to the end. Raises BadFile."""
    read = hashlib.sha256()
    first = True
    while True:
        length = file.read(4)
        size = int.from_bytes(length, "big")
        encoded = file.read(size) if size <= MAX_RECORD_BYTES else b""
        try:
            if len(length) < 4 or len(encoded) < size:
                raise msgspec.DecodeError("cut off")
            record = _decoder.decode(encoded)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadFile(
                "the file is no export of Plugbay" if first else "the file is damaged or not complete"
            ) from error
        if first is not isinstance(record, Begin):
            raise BadFile("the file is no export of Plugbay")
        if isinstance(record, Begin) and record.format > FORMAT:
            raise BadFile("the file was made by a newer Plugbay: update this one")
        yield record
        first = False
        if isinstance(record, End):
            if record.digest != read.digest() or file.read(1):
                raise BadFile("the file is damaged")
            return
        read.update(length + encoded)
