"""What stands in the documents, and how it is read back.

What a caller gives is only ever a value in a document or the whole value that is looked for; names of fields
and operators are all written here and beside the queries.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from store.contract import Module, Tenant, TenantChange
from store.mongo.database import Document
from store.tenant_search import folded

MAX_RECORD_BYTES: Final = 15 * 1024 * 1024
"""Bytes of one module's record; MongoDB takes documents of 16 MiB."""


def text(value: object, what: str) -> str:
    """The value, when it is text. Raises TypeError: a query would take a dict as operators."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is to be text and is {type(value).__name__}")
    return value


class Record(NamedTuple):
    """One version of a module and the key it is kept under: the same version has the same key."""

    key: str
    module: Module


def record(module: Module) -> Record:
    """The record of a module. Raises ValueError when a field is not what its type says, or all is too large."""
    encoded = msgspec.msgpack.encode(module)
    if len(encoded) > MAX_RECORD_BYTES:
        raise ValueError(f"what is to be kept of module {module.name} is larger than {MAX_RECORD_BYTES} bytes")
    return Record(hashlib.sha256(encoded).hexdigest(), msgspec.msgpack.decode(encoded, type=Module))


def fields(record: Record) -> Document:
    """What a record's document holds besides its key."""
    found: Document = msgspec.to_builtins(record.module, builtin_types=(bytes,))
    return found


def read_record(document: Document) -> Record:
    """The record in a document. Raises msgspec.ValidationError."""
    return Record(document["_id"], msgspec.convert(document, Module))


class Head(msgspec.Struct, frozen=True):
    """What an owner's document says."""

    revision: int
    modules: list[str]
    """Keys of records."""


def read_head(document: Document) -> Head:
    """What an owner's document says. Raises msgspec.ValidationError."""
    return msgspec.convert(document, Head)


TENANT_FIELDS: Final = (
    "name",
    "folded",
    "plan",
    "status",
    "created",
    "key",
    "token_keys",
    "signing_keys",
    "signatures",
    "api_keys",
    "address",
    "role",
    "admin",
)
"""What is kept of a tenant besides its UUID. `folded` is missing where there is no name, for its index is unique."""


def tenant_fields(tenant: Tenant | TenantChange) -> Document:
    """What is to be kept of a tenant. Raises msgspec.ValidationError when a field is not what it should be."""
    fields = msgspec.to_builtins(tenant, builtin_types=(bytes,))
    msgspec.convert(fields, type(tenant))
    kept = {name: value for name, value in fields.items() if name != "uuid" and value is not None}
    return kept | ({"folded": folded(kept["name"])} if kept.get("name") else {})


def read_tenant(document: Document) -> Tenant | None:
    """The tenant of a document; None of one that was removed. Raises msgspec.ValidationError."""
    if "removed" in document:
        return None
    return msgspec.convert(document | {"uuid": document["_id"]}, Tenant)
