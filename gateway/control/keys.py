"""Whose a key to the control plane is: the admin's, or a tenant's, of which the store has the digests alone."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Protocol

from gateway.api_keys import EVERYTHING, Scope, granted
from gateway.tenant_keys import SentKey
from store.contract import Status, Tenant


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
    scopes: frozenset[Scope]
    """What the key opens of what is the owner's."""
    refusal: str = ""
    """Why nothing is done for whoever it is; empty: it is."""
    api_key: str = ""
    """Id of the API key that it was sent with; empty: it was the owner's first one."""

    @property
    def called(self) -> str:
        """What the log and the audit trail call it: `admin`, or the UUID of the tenant."""
        return "admin" if self.admin else self.owner


class Keys:
    """All keys there are."""

    def __init__(self, admin: str, admin_key: str, tenants: Tenants) -> None:
        """`admin` is the UUID of the admin."""
        self._admin = Principal(admin, admin=True, scopes=EVERYTHING)
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
        sent = SentKey.parse(key)
        if sent is None:
            return None
        tenant = await self._tenants.tenant(sent.uuid)
        scopes = granted(sent, tenant)
        if tenant is None or not scopes:
            return None
        if tenant.uuid == self._admin.owner and not sent.id:  # it was a tenant elsewhere, and has its key from there
            return self._admin
        refusal = "" if tenant.status is Status.ENABLED else tenant.standing
        return Principal(tenant.uuid, admin=False, scopes=scopes, refusal=refusal, api_key=sent.id)
