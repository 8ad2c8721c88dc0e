"""`/api/tenants/<uuid>/elevation`: a tenant moves to an installation of its own, and may come back.

From the beginning on nothing of what it has is changed here, so that what was copied is what there is. Its calls are
run here until it is complete, and there alone from then on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from gateway.control import audit
from gateway.control import tenant_models as models
from gateway.control.errors import Rejected
from gateway.control.models import NoQuery
from gateway.control.services import Services, Wired
from gateway.control.tenants import CONFLICT, Named, unknown
from store.changing import change_tenant
from store.contract import Role, Status, Store, StoreUnavailable, Tenant, TenantChange
from store.transfer import Interfered, export_tenant

log = logging.getLogger("plugbay.elevation")

router: Final = APIRouter(tags=["tenants"])

MEDIA_TYPE: Final = "application/octet-stream"
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "What `plugbay store import` takes; not complete unless its last record is there",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.put("/tenants/{uuid}/elevation", summary="Begin to move a tenant", responses=CONFLICT)
async def begin_elevation(
    request: Request, services: Wired, tenant: Named, given: models.NewElevation, _: Annotated[NoQuery, Query()]
) -> models.Tenant:
    """Names the address of the installation that it moves to. Nothing that moves along can be changed from the answer
    on, on any gateway; its calls are run as before."""
    if tenant.uuid == services.admin:
        raise Rejected(409, "This is the admin, which has an installation of its own: this one.", field="uuid")

    if tenant.role is Role.ADMIN:
        raise Rejected(409, "This is an admin: only a tenant moves to an installation of its own.", field="uuid")

    def wanted(there: Tenant) -> TenantChange:
        if there.status is not Status.ENABLED:
            raise Rejected(409, f"{there.standing}: only one that is enabled can move.", field="uuid")
        return TenantChange(address=given.address, status=Status.ENABLED)

    changed = await _change(services, tenant, wanted)
    await asyncio.sleep(services.told_secs)
    await audit.record(request, "elevation begun", tenant=tenant.uuid, address=given.address)
    return changed


@router.post("/tenants/{uuid}/elevation", summary="Complete the move of a tenant", responses=CONFLICT)
async def complete_elevation(
    request: Request, services: Wired, tenant: Named, _: Annotated[NoQuery, Query()]
) -> models.Tenant:
    """Its calls, and whatever its key asks for, are answered 403 with the new address, and its runners end."""

    def wanted(there: Tenant) -> TenantChange:
        if not there.address:
            raise Rejected(409, "It has no address to move to: begin with PUT.", field="uuid")
        return TenantChange(status=Status.ELEVATED, address=there.address)

    changed = await _change(services, tenant, wanted)
    await audit.record(request, "tenant elevated", tenant=tenant.uuid, address=changed.address)
    return changed


@router.delete("/tenants/{uuid}/elevation", summary="Undo the move of a tenant", responses=CONFLICT)
async def undo_elevation(
    request: Request, services: Wired, tenant: Named, _: Annotated[NoQuery, Query()]
) -> models.Tenant:
    """It stays, or is served here again, as it was when it began to move."""

    def wanted(there: Tenant) -> TenantChange | None:
        return TenantChange(status=Status.ENABLED, address="") if there.address else None

    changed = await _change(services, tenant, wanted)
    if tenant.address:
        await audit.record(request, "elevation undone", tenant=tenant.uuid, address=tenant.address)
    return changed


@router.get(
    "/tenants/{uuid}/export", summary="Get all that a tenant has", response_class=StreamingResponse, responses=_FILE
)
async def export(services: Wired, tenant: Named, _: Annotated[NoQuery, Query()]) -> StreamingResponse:
    """Its record, variables and modules with their versions; secrets are as the store has them, sealed with
    SECRETS_KEY. Only of a tenant that moves, of which nothing is changed meanwhile."""
    if not tenant.address:
        raise Rejected(409, "It does not move: begin with PUT …/elevation.", field="uuid")
    return StreamingResponse(_parts(services.store, tenant), media_type=MEDIA_TYPE)


async def _parts(store: Store, tenant: Tenant) -> AsyncIterator[bytes]:
    try:
        async for part in export_tenant(store, tenant):
            yield part
    except (StoreUnavailable, Interfered) as error:  # who reads it finds it not complete
        log.warning("the export of tenant %s was broken off: %s", tenant.uuid, error)


async def _change(services: Services, tenant: Tenant, wanted: Callable[[Tenant], TenantChange | None]) -> models.Tenant:
    changed = await change_tenant(services.store, tenant.uuid, wanted)
    if changed is None:
        raise unknown(tenant.uuid)
    services.catalogue.follow(tenant.uuid)
    return models.Tenant.model_validate(changed)
