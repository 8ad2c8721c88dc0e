"""`/api/tenants`: who there is besides the admin, and what each may."""

from __future__ import annotations

import logging
import re
import time
import uuid as uuids
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from calls.kept import KeptUnavailable
from gateway.control import audit
from gateway.control import tenant_models as models
from gateway.control.errors import Rejected
from gateway.control.models import NoQuery, Problem
from gateway.control.services import Services, Wired
from gateway.tenant_keys import digest, new_key
from store.contract import Conflict, Status, Tenant, TenantChange

log = logging.getLogger("plugbay.kept")

router: Final = APIRouter(tags=["tenants"])

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CONFLICT: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": Problem, "description": "It collides with something else, which `errors` names"}
}


async def _named(
    services: Wired, uuid: Annotated[str, Path(description="UUID of the tenant, in lower case with hyphens")]
) -> Tenant:
    """The tenant in the path."""
    tenant = await services.store.tenant(uuid) if _UUID.fullmatch(uuid) else None
    if tenant is None:
        raise unknown(uuid)
    return tenant


Named = Annotated[Tenant, Depends(_named)]


async def _changeable(tenant: Named) -> Tenant:
    """The tenant in the path, of whom something is to be changed."""
    require_changeable(tenant)
    return tenant


Changeable = Annotated[Tenant, Depends(_changeable)]


@router.post("/tenants", summary="Register a tenant", status_code=201, responses=CONFLICT)
async def register_tenant(
    request: Request, services: Wired, given: models.NewTenant, _: Annotated[NoQuery, Query()]
) -> models.TenantWithKey:
    """Makes its UUID and its key. The key is in this answer and nowhere else."""
    _check_plan(services, given.plan)
    uuid = str(uuids.uuid4())
    key = new_key(uuid)
    tenant = Tenant(uuid=uuid, name=given.name, plan=given.plan, created=time.time(), key=digest(key))
    try:
        await services.store.add_tenant(tenant)
    except Conflict as error:
        raise _taken(given.name) from error
    services.catalogue.follow(uuid)
    await audit.record(request, "tenant registered", tenant=uuid, name=given.name, plan=given.plan)
    return _with_key(tenant, key)


@router.get("/tenants", summary="List the tenants")
async def list_tenants(services: Wired, query: Annotated[models.TenantsQuery, Query()]) -> models.Tenants:
    """All tenants by UUID, or those that are searched for."""
    found = await services.store.find_tenants(query.search, query.cursor or "", query.limit + 1)
    page = found[: query.limit]
    return models.Tenants(
        tenants=[models.Tenant.model_validate(tenant) for tenant in page],
        next=page[-1].uuid if len(found) > query.limit else None,
    )


@router.get("/tenants/{uuid}", summary="See one tenant")
async def see_tenant(tenant: Named, _: Annotated[NoQuery, Query()]) -> models.Tenant:
    """One tenant. Takes its own key too."""
    return models.Tenant.model_validate(tenant)


@router.patch("/tenants/{uuid}", summary="Change a tenant", responses=CONFLICT)
async def change_tenant(
    request: Request, services: Wired, tenant: Changeable, patch: models.TenantPatch, _: Annotated[NoQuery, Query()]
) -> models.Tenant:
    """Changes what is given. Within a second every gateway knows it. Of a tenant that is disabled, calls under
    way finish and runners end; one that is given another plan has it from its next runner on."""
    _require_other(services, tenant)
    given = patch.model_dump(exclude_unset=True)
    if "plan" in given:
        _check_plan(services, given["plan"])
    if "status" in given:
        given["status"] = Status(given["status"])
    try:
        changed = await services.store.change_tenant(tenant.uuid, TenantChange(**given))
    except Conflict as error:
        raise _taken(given["name"]) from error
    if changed is None:
        raise unknown(tenant.uuid)
    if "status" in given:
        services.catalogue.follow(tenant.uuid)
    if given:
        about = {name: str(value) for name, value in given.items()}
        await audit.record(request, "tenant changed", tenant=tenant.uuid, **about)
    return models.Tenant.model_validate(changed)


@router.post("/tenants/{uuid}/key", summary="Replace a tenant's key")
async def rotate_key(
    request: Request, services: Wired, tenant: Changeable, _: Annotated[NoQuery, Query()]
) -> models.TenantWithKey:
    """Makes another key, which is in this answer and nowhere else. Within a second no gateway takes the old one."""
    key = new_key(tenant.uuid)
    changed = await services.store.change_tenant(tenant.uuid, TenantChange(key=digest(key)))
    if changed is None:
        raise unknown(tenant.uuid)
    await audit.record(request, "tenant key replaced", tenant=tenant.uuid)
    return _with_key(changed, key)


@router.delete("/tenants/{uuid}", summary="Remove a tenant", status_code=204, response_class=Response)
async def remove_tenant(request: Request, services: Wired, tenant: Named, _: Annotated[NoQuery, Query()]) -> None:
    """Removes the tenant with its modules, and calls and results that are kept. Calls under way finish, its runners end, and its UUID is nobody's."""
    _require_other(services, tenant)
    if not await services.store.remove_tenant(tenant.uuid):
        raise unknown(tenant.uuid)
    services.catalogue.follow(tenant.uuid)
    try:
        await services.kept.forget_owner(tenant.uuid)
    except KeptUnavailable as error:  # nobody is shown them any more, none is run, and their time will be over
        log.warning("calls and results of tenant %s are forgotten later: %s", tenant.uuid, error)
    await audit.record(request, "tenant removed", tenant=tenant.uuid, name=tenant.name)


def require_changeable(tenant: Tenant) -> None:
    """Raises Rejected for a tenant that moves to an installation of its own, or has moved there."""
    if tenant.address:
        raise Rejected(
            409,
            f"Nothing of tenant {tenant.uuid} is changed here: its installation is {tenant.address} "
            "(plugbay elevate --undo brings it back).",
            field="uuid",
        )


def _require_other(services: Services, tenant: Tenant) -> None:
    """Raises Rejected for the admin, which may have a record among the tenants."""
    if tenant.uuid == services.admin:
        raise Rejected(409, "This is the admin, which is as it is.", field="uuid")


def _check_plan(services: Services, plan: str) -> None:
    if plan not in services.plans:
        there = ", ".join(sorted(services.plans))
        raise Rejected(422, f"There is no plan {plan}, only {there} (plans.toml).", field="plan")


def _with_key(tenant: Tenant, key: str) -> models.TenantWithKey:
    return models.TenantWithKey(**models.Tenant.model_validate(tenant).model_dump(), key=key)


def unknown(uuid: str) -> Rejected:
    return Rejected(404, f"There is no tenant {uuid[:36]}.", field="uuid")


def _taken(name: str) -> Rejected:
    return Rejected(409, f"Another tenant is called {name}.", field="name")
