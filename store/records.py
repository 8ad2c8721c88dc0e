"""The file that a store is copied to: what is in it, and how it is written and read.

A sequence of records, each 4 bytes of length (big-endian) and one MessagePack struct: `Begin`, then tenants, their
variables, settings, the audit trail, bundles and modules, a bundle before the first module that names it, then
`End` with the digest of all before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from calls import bundle as bundles
from store.audit import Entry
from store.contract import Module, Tenant

FORMAT: Final = 8
"""1 had of a tenant its UUID and status alone, 2 no variables, 3 no earlier versions and no keys for signatures, 4 no
audit trail, 5 no API keys, 6 no address of a tenant's own installation, 7 no admins besides the installation's."""
MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
"""Bytes of one record; the largest is a bundle."""


class BadFile(Exception):
    """The file is none that can be imported; the message says why. Nothing was stored."""


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
    """Entries of the audit trail."""

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


class Writing:
    """The records of one file, as the bytes that they are in it."""

    def __init__(self) -> None:
        self._written = hashlib.sha256()

    def bytes_of(self, record: Record) -> bytes:
        """The next record's."""
        encoded = _encoder.encode(record)
        data = len(encoded).to_bytes(4, "big") + encoded
        self._written.update(data)
        return data

    def end(self) -> bytes:
        """The last record's."""
        return self.bytes_of(End(self._written.digest()))


def check(file: BinaryIO) -> None:
    """Reads to the end. Raises BadFile."""
    digests: set[str] = set()
    for record in records(file):
        if isinstance(record, BundleRecord):
            digests.add(bundles.digest(record.data))
        elif isinstance(record, ModuleRecord) and not record.module.digests <= digests:
            raise BadFile(f"the file is damaged: it lacks a bundle of module {record.module.name}")


def records(file: BinaryIO) -> Iterator[Record]:
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
