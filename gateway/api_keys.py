"""API keys: further keys of a tenant, each with scopes and an end. Kept with the tenant, by their digests alone."""

from __future__ import annotations

import enum
import hmac
import secrets
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.tenant_keys import SentKey, digest, new_api_key
from store.changing import Tenants, change_tenant
from store.contract import Tenant, TenantChange

MAX_API_KEYS: Final = 20
"""Of one tenant, those that have ended not counted."""


class Scope(enum.StrEnum):
    """What a key opens of what is its tenant's."""

    CALL = "call"
    """Its functions, where calls take a credential."""
    DEPLOY = "deploy"
    """Its modules and their versions."""
    MANAGE = "manage"
    """Everything: who manages can make a key of every scope."""


EVERYTHING: Final = frozenset(Scope)
NOTHING: Final[frozenset[Scope]] = frozenset()
_NOBODYS: Final = "0" * 64
"""The digest of no key."""


class ApiKey(msgspec.Struct, frozen=True):
    """One key, without what is secret of it."""

    id: str
    """Stands in the key."""
    name: str
    """For people."""
    scopes: tuple[Scope, ...]
    digest: str
    """SHA-256 of the key, in hexadecimal."""
    created: float
    """Unix time."""
    expires: float | None
    """Unix time from which on it is good no more; None: it has no end."""

    @property
    def granted(self) -> frozenset[Scope]:
        """All that it opens."""
        return EVERYTHING if Scope.MANAGE in self.scopes else frozenset(self.scopes)

    def ended(self, now: float) -> bool:
        """Whether it is good no more at this Unix time."""
        return self.expires is not None and now >= self.expires


class TooManyKeys(Exception):
    """The tenant has as many keys as it may; the message says how many."""


def of(tenant: Tenant) -> tuple[ApiKey, ...]:
    """The tenant's keys, the newest last."""
    return msgspec.json.decode(tenant.api_keys, type=tuple[ApiKey, ...]) if tenant.api_keys else ()


def granted(sent: SentKey, tenant: Tenant | None) -> frozenset[Scope]:
    """What a key that was sent opens of this tenant's; nothing when it is none of its keys that are good now."""
    kept, scopes = _NOBODYS, NOTHING
    if tenant is not None and tenant.uuid == sent.uuid:
        if sent.id:
            for key in of(tenant):
                if key.id == sent.id:
                    kept, scopes = key.digest, NOTHING if key.ended(time.time()) else key.granted
        elif tenant.key:
            kept, scopes = tenant.key, EVERYTHING
    return scopes if hmac.compare_digest(sent.digest, kept) else NOTHING


async def make(
    store: Tenants, uuid: str, name: str, scopes: Iterable[Scope], expires: float | None
) -> tuple[str, ApiKey] | None:
    """Another key, given to its holder and kept nowhere, and what is kept of it; None when there is no such tenant.
    Those that have ended are forgotten. Raises TooManyKeys or StoreUnavailable."""
    id = secrets.token_hex(8)
    text = new_api_key(uuid, id)
    now = time.time()
    key = ApiKey(id, name, tuple(sorted(scopes)), digest(text), now, expires)

    def with_it(tenant: Tenant) -> TenantChange:
        others = tuple(other for other in of(tenant) if not other.ended(now))
        if len(others) >= MAX_API_KEYS:
            raise TooManyKeys(f"a tenant has at most {MAX_API_KEYS} API keys: revoke one")
        return _keeping((*others, key))

    return None if await change_tenant(store, uuid, with_it) is None else (text, key)


async def revoke(store: Tenants, uuid: str, id: str) -> bool:
    """Has a key be good no more; False when the tenant has none with this id. Raises StoreUnavailable."""
    revoked = False

    def without_it(tenant: Tenant) -> TenantChange | None:
        nonlocal revoked
        left = tuple(key for key in of(tenant) if key.id != id)
        revoked = left != of(tenant)
        return _keeping(left) if revoked else None

    await change_tenant(store, uuid, without_it)
    return revoked


def _keeping(keys: tuple[ApiKey, ...]) -> TenantChange:
    return TenantChange(api_keys=msgspec.json.encode(keys).decode() if keys else "")
