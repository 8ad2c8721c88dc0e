"""The Ed25519 keys that a tenant's uploads may be signed with: the public halves, kept with the tenant."""

from __future__ import annotations

import hashlib
import time
from typing import Final

import msgspec
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from store.changing import Tenants, change_tenant
from store.contract import Tenant, TenantChange

MAX_SIGNING_KEYS: Final = 5
"""Of one tenant."""
PUBLIC_SIZE: Final = 32
"""Bytes of a public key."""


class SigningKey(msgspec.Struct, frozen=True):
    """One public key."""

    id: str
    name: str
    """For people."""
    public: bytes
    created: float
    """Unix time at which it was registered."""


class TooManyKeys(Exception):
    """The tenant has as many keys as it may; the message says how many."""


def key_id(public: bytes) -> str:
    """The id of a key: the first 8 bytes of the SHA-256 of its public half, in hexadecimal."""
    return hashlib.sha256(public).hexdigest()[:16]


def checked(public: bytes) -> bytes:
    """A public key, when it can be one. Raises ValueError."""
    try:
        return bytes(VerifyKey(public))
    except (CryptoError, ValueError) as error:
        raise ValueError(f"a public key of Ed25519 has {PUBLIC_SIZE} bytes") from error


def of(tenant: Tenant) -> tuple[SigningKey, ...]:
    """The tenant's keys, the newest last."""
    return msgspec.json.decode(tenant.signing_keys, type=tuple[SigningKey, ...]) if tenant.signing_keys else ()


class SigningKeys:
    """The keys of all tenants, to be changed."""

    def __init__(self, store: Tenants) -> None:
        self._store = store

    async def add(self, uuid: str, name: str, public: bytes, *, first: bool) -> SigningKey | None:
        """Registers a key, one that is there already too; None when there is no such tenant, or when the key is to
        be its `first` and is not. Raises ValueError, TooManyKeys or StoreUnavailable."""
        key = SigningKey(key_id(checked(public)), name, public, time.time())

        def with_it(tenant: Tenant) -> TenantChange | None:
            if first and of(tenant):
                return None
            others = tuple(other for other in of(tenant) if other.id != key.id)
            if len(others) >= MAX_SIGNING_KEYS:
                raise TooManyKeys(f"a tenant has at most {MAX_SIGNING_KEYS} keys for signatures")
            return _keeping((*others, key))

        tenant = await change_tenant(self._store, uuid, with_it)
        return key if tenant is not None and key in of(tenant) else None

    async def remove(self, uuid: str, id: str) -> bool:
        """Has a key be good no more; False when the tenant has none with this id. Raises StoreUnavailable."""
        removed = False

        def without_it(tenant: Tenant) -> TenantChange | None:
            nonlocal removed
            left = tuple(key for key in of(tenant) if key.id != id)
            removed = left != of(tenant)
            return _keeping(left) if removed else None

        await change_tenant(self._store, uuid, without_it)
        return removed


def _keeping(keys: tuple[SigningKey, ...]) -> TenantChange:
    return TenantChange(signing_keys=msgspec.json.encode(keys).decode() if keys else "")
