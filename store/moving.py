"""One tenant's share of a store, made ready for a store of its own: there it is the admin.

What is sealed is sealed anew, under the key that is used there. Modules that were uploaded stay uploads, with their
versions; those that came from a plugin folder are files, and become files of the new installation's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from calls import bundle as bundles
from store.contract import ADMIN_TOKEN_KEYS, UPLOADED, Role, Status, Tenant
from store.records import (
    FORMAT,
    BadFile,
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
from store.sealing import Sealer, Unsealable, token_keys_of, variables_of


class Resealer:
    """Seals under one key what is sealed under one of others."""

    def __init__(self, new: str, *old: str) -> None:
        """The keys as SECRETS_KEY has them; of `old`, empty ones do not count. Raises ValueError."""
        self._sealers = [Sealer(new, key) for key in old if key] or [Sealer(new)]

    def reseal(self, what: str, sealed: str) -> str:
        """The same under the new key. Raises Unsealable."""
        problem = Unsealable(what)
        for sealer in self._sealers:
            try:
                return sealer.reseal(what, sealed) or sealed
            except Unsealable as error:
                problem = error
        raise problem


def move(source: BinaryIO, target: BinaryIO, resealer: Resealer) -> Iterator[dict[str, bytes]]:
    """Writes to `target` what `source`, a seekable file with one tenant, holds for the store in which it is the admin.
    Gives the files of each module that came from a plugin folder, by relative path.

    Raises BadFile, Unsealable and OSError; `target` is not complete until the last module was given.
    """
    start = source.tell()
    check(source)
    source.seek(start)
    uploads: set[str] = set()
    files: set[str] = set()
    for record in records(source):
        if isinstance(record, ModuleRecord):
            (uploads if record.module.source == UPLOADED else files).update(record.module.digests)
    source.seek(start)
    writing = Writing()
    for record in records(source):
        if isinstance(record, BundleRecord) and (digest := bundles.digest(record.data)) in files | uploads:
            if digest in files:
                yield _files(record.data)
            if digest not in uploads:
                continue
        for made in _moved(record, resealer):
            target.write(writing.bytes_of(made))
    target.write(writing.end())


def _moved(record: Record, resealer: Resealer) -> Iterator[Record]:
    """What a record becomes."""
    match record:
        case Begin():
            yield Begin(FORMAT)
        case TenantRecord(tenant):
            yield TenantRecord(_admin(tenant))
            if tenant.token_keys:
                keys = resealer.reseal(token_keys_of(tenant.uuid), tenant.token_keys)
                yield SettingRecord(ADMIN_TOKEN_KEYS, keys)
        case VariablesRecord(owner, sealed):
            yield VariablesRecord(owner, resealer.reseal(variables_of(owner), sealed))
        case BundleRecord():
            yield record
        case ModuleRecord(module):
            if module.source == UPLOADED:
                yield record


def _admin(tenant: Tenant) -> Tenant:
    """The record that an admin keeps of what it was."""
    return msgspec.structs.replace(
        tenant, plan="", status=Status.ENABLED, address="", token_keys="", role=Role.ADMIN, admin=""
    )


def _files(bundle: bytes) -> dict[str, bytes]:
    """The files of a bundle. Raises BadFile when one would lie outside of a plugin folder."""
    files = bundles.unpack(bundle)
    for path in files:
        if path.startswith("/") or {"", ".", ".."} & {*path.split("/")}:
            raise BadFile("a module has a file outside of its folder")
    return files
