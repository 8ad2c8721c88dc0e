"""The keys of the control plane: the admin's, and one of each tenant, of which the store has the digest alone."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from store.contract import Status, Tenant

_TENANT_KEY: Final = re.compile(rb"pbt_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")
"""The UUID of a tenant, by which it is found, and 256 random bits."""
_NOBODYS: Final = "0" * 64


class Tenants(Protocol):
    """What is asked of the store."""

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant registered under this UUID."""


@dataclass(frozen=True)
class Principal:
    """Who sent a request."""

    owner: str
    """UUID of the admin or tenant."""
    admin: bool
    enabled: bool = True

    @property
    def called(self) -> str:
        """What the log and the audit trail call it: `admin`, or the UUID of the tenant."""
        return "admin" if self.admin else self.owner


def new_key(uuid: str) -> str:
    """A key for a tenant. It is given to its holder and kept nowhere."""
    return f"pbt_{UUID(uuid).hex}_{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """What the store keeps of a key: SHA-256, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keys:
    """All keys there are."""

    def __init__(self, admin: str, admin_key: str, tenants: Tenants) -> None:
        """`admin` is the UUID of the admin."""
        self._admin = Principal(admin, admin=True)
        self._admin_key = admin_key.encode()
        self._tenants = tenants

    async def holder(self, headers: list[tuple[bytes, bytes]]) -> Principal | None:
        """Who sent these headers; None when they have no key, or none that is good. Raises StoreUnavailable."""
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        is_admin = hmac.compare_digest(key, self._admin_key)
        if scheme.lower() != b"bearer":
            return None
        return self._admin if is_admin else await self._tenant(key)

    async def _tenant(self, key: bytes) -> Principal | None:
        form = _TENANT_KEY.fullmatch(key)
        if form is None:
            return None
        tenant = await self._tenants.tenant(str(UUID(form[1].decode())))
        kept = tenant.key if tenant is not None and tenant.key else _NOBODYS
        if not hmac.compare_digest(hashlib.sha256(key).hexdigest(), kept) or tenant is None:
            return None
        return Principal(tenant.uuid, admin=False, enabled=tenant.status is Status.ENABLED)
