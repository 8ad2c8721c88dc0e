"""Changes of a tenant that follow from what it is: of two processes that make one at once, neither undoes the other's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from store.contract import Conflict, StoreUnavailable, Tenant, TenantChange

ATTEMPTS: Final = 20
"""How often a change is made anew because another process was faster."""


class Tenants(Protocol):
    """The part of a store that this takes."""

    async def tenant(self, uuid: str) -> Tenant | None:
        """See store.contract.Store."""

    async def change_tenant(self, uuid: str, change: TenantChange, before: Tenant | None = None) -> Tenant | None:
        """See store.contract.Store."""


async def change_tenant(store: Tenants, uuid: str, wanted: Callable[[Tenant], TenantChange | None]) -> Tenant | None:
    """Has a tenant be what `wanted` makes of it, and gives it as it is then; None when there is no such tenant.

    `wanted` is asked again when the tenant was changed meanwhile; it gives None when nothing is to be another, no name,
    and may raise. Raises StoreUnavailable, also when others change the tenant all the time.
    """
    for _ in range(ATTEMPTS):
        tenant = await store.tenant(uuid)
        change = None if tenant is None else wanted(tenant)
        if change is None:
            return tenant
        try:
            return await store.change_tenant(uuid, change, tenant)
        except Conflict:
            continue
    raise StoreUnavailable("the tenant is being changed by others: try again")
