"""Whose a key to the control plane is: the installation's admin's, or a further admin's or tenant's, of which the store
has the digests alone; and what it opens.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.api_keys import EVERYTHING, Scope, granted
from gateway.control.scopes import opening
from gateway.tenant_keys import SentKey
from store.contract import Role, Status, Tenant

UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""As accounts have it."""


NOT_ITS_OWN: Final = "This takes the admin's key."
"""What everybody is told of what is not theirs, whether it is there or not."""


class Tenants(Protocol):
    """What is asked of the store."""

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant registered under this UUID."""


INSTALLATION: Final = "admin"
"""What the installation's admin is called."""


@dataclass(frozen=True)
class Principal:
    """Who sent a request."""

    owner: str
    """UUID of the admin or tenant."""
    admin: bool
    """Whether it is the installation's."""
    scopes: frozenset[Scope]
    """What the key opens of what is the owner's."""
    refusal: str = ""
    """Why nothing is done for whoever it is; empty: it is."""
    api_key: str = ""
    """Id of the API key that it was sent with; empty: it was the owner's first one."""
    further: bool = False
    """Whether it is a further admin, and tenants may be its own."""

    @property
    def called(self) -> str:
        """What the log and the audit trail call it: `admin`, or the UUID of the tenant or further admin."""
        return INSTALLATION if self.admin else self.owner

    def rules(self, tenant: Tenant) -> bool:
        """Whether it is this tenant's admin, or the installation's."""
        return self.admin or (self.further and tenant.admin == self.owner)


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

    async def forbids(self, principal: Principal, method: str, raw_path: bytes) -> str | None:
        """Why somebody may not ask for this at all; None when they may: for what is their own, and a further admin for
        what is its tenants', with a key that has the scope, and for nothing else. Of what is others' it says no more
        than of what is not there. Raises StoreUnavailable."""
        if principal.admin:
            return None
        if principal.refusal:
            return principal.refusal
        needed = opening(method, raw_path)
        if needed is None or not await self._reaches(principal, needed.uuid, own=needed.own):
            return NOT_ITS_OWN
        return None if needed.scope in principal.scopes else f"This takes a key with the scope {needed.scope}."

    async def _reaches(self, principal: Principal, uuid: str | None, *, own: bool) -> bool:
        """Whether what is this one's is open to somebody; `own`: to its owner too."""
        if uuid is None:
            return own or principal.further
        if uuid == principal.owner:
            return own
        if not principal.further or UUID.fullmatch(uuid) is None:
            return False
        tenant = await self._tenants.tenant(uuid)
        return tenant is not None and principal.rules(tenant)

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
        further = tenant.role is Role.ADMIN and tenant.uuid != self._admin.owner
        return Principal(tenant.uuid, admin=False, scopes=scopes, refusal=refusal, api_key=sent.id, further=further)
