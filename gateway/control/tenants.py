"""`/api/tenants`: who there is besides the installation's admin, and what each may."""

from __future__ import annotations

import logging
import time
import uuid as uuids
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from calls.kept import KeptUnavailable
from gateway.control import audit
from gateway.control import tenant_models as models
from gateway.control.errors import Rejected
from gateway.control.keys import NOT_ITS_OWN, UUID, Principal
from gateway.control.models import NoQuery, Problem
from gateway.control.services import Services, Who, Wired
from gateway.tenant_keys import digest, new_key
from store.contract import Conflict, Role, Status, Tenant, TenantChange

log = logging.getLogger("plugbay.kept")

router: Final = APIRouter(tags=["tenants"])

MAX_ADMINS: Final = 16
"""Further admins of an installation: each may have as many runners on every host as the installation's."""
CONFLICT: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": Problem, "description": "It collides with something else, which `errors` names"}
}


async def _named(
    services: Wired,
    uuid: Annotated[str, Path(description="UUID of the tenant or further admin, in lower case with hyphens")],
) -> Tenant:
    """The tenant in the path."""
    tenant = await services.store.tenant(uuid) if UUID.fullmatch(uuid) else None
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
    request: Request, services: Wired, who: Who, given: models.NewTenant, _: Annotated[NoQuery, Query()]
) -> models.TenantWithKey:
    """Makes its UUID and its key. The key is in this answer and nowhere else. A tenant is of the admin whose key
    registers it; a further admin takes the key of the installation's."""
    role = Role(given.role)
    if role is Role.TENANT:
        _check_plan(services, given.plan)
        plan = given.plan
    else:
        plan = await _plan_of_admin(services, who, given)
    uuid = str(uuids.uuid4())
    key = new_key(uuid)
    tenant = Tenant(
        uuid=uuid,
        name=given.name,
        plan=plan,
        created=time.time(),
        key=digest(key),
        role=role,
        admin=who.owner if who.further else "",
    )
    try:
        await services.store.add_tenant(tenant)
    except Conflict as error:
        raise _taken(tenant) from error
    services.catalogue.follow(uuid)
    about = {"name": given.name} | ({"plan": plan} if plan else {})
    await audit.record(request, f"{role} registered", tenant=uuid, **about)
    return _with_key(tenant, key)


async def _plan_of_admin(services: Services, who: Principal, given: models.NewTenant) -> str:
    """That of a further admin that may be registered: none. Raises Rejected."""
    if not who.admin:
        raise Rejected(403, NOT_ITS_OWN, field="role")
    if "plan" in given.model_fields_set:
        raise Rejected(422, "An admin has no plan: leave it out.", field="plan")
    there = await services.store.find_tenants("", "", MAX_ADMINS + 1, Role.ADMIN)
    if len([admin for admin in there if admin.uuid != services.admin]) >= MAX_ADMINS:
        raise Rejected(409, f"There are {MAX_ADMINS} further admins already, and no more than that.", field="role")
    return ""


@router.get("/tenants", summary="List the tenants")
async def list_tenants(services: Wired, who: Who, query: Annotated[models.TenantsQuery, Query()]) -> models.Tenants:
    """All tenants and further admins by UUID, or those that are searched for. A further admin's key shows it and its
    tenants."""
    if who.further and query.admin not in (None, who.owner):
        raise Rejected(403, NOT_ITS_OWN, field="admin")
    admin = who.owner if who.further else query.admin
    role = Role(query.role) if query.role is not None else None
    found = await services.store.find_tenants(query.search, query.cursor or "", query.limit + 1, role, admin)
    page = found[: query.limit]
    return models.Tenants(
        tenants=[models.Tenant.model_validate(tenant) for tenant in page],
        next=page[-1].uuid if len(found) > query.limit else None,
    )


@router.get("/tenants/{uuid}", summary="See one tenant")
async def see_tenant(tenant: Named, _: Annotated[NoQuery, Query()]) -> models.Tenant:
    """One tenant, or a further admin. Takes its own key too."""
    return models.Tenant.model_validate(tenant)


@router.patch("/tenants/{uuid}", summary="Change a tenant", responses=CONFLICT)
async def change_tenant(
    request: Request,
    services: Wired,
    who: Who,
    tenant: Changeable,
    patch: models.TenantPatch,
    _: Annotated[NoQuery, Query()],
) -> models.Tenant:
    """Changes what is given. Within a second every gateway knows it. Of one that is disabled, calls under way finish
    and runners end; a tenant that is given another plan has it from its next runner on. The tenants of an admin that
    is disabled are served on."""
    _require_other(services, tenant)
    given = patch.model_dump(exclude_unset=True)
    if tenant.role is Role.ADMIN and (wrong := given.keys() & {"plan", "admin"}):
        raise Rejected(409, "This is an admin: it has no plan, and is no other admin's.", field=min(wrong))
    if "plan" in given:
        _check_plan(services, given["plan"])
    if "admin" in given:
        given["admin"] = await _receiving(services, who, given["admin"])
    if "status" in given:
        given["status"] = Status(given["status"])
    try:
        changed = await services.store.change_tenant(tenant.uuid, TenantChange(**given))
    except Conflict as error:
        raise _taken(msgspec.structs.replace(tenant, name=given.get("name", tenant.name))) from error
    if changed is None:
        raise unknown(tenant.uuid)
    if "status" in given:
        services.catalogue.follow(tenant.uuid)
    if given:
        about = {name: str(value) for name, value in given.items()}
        await audit.record(request, f"{tenant.role} changed", tenant=tenant.uuid, **about)
    return models.Tenant.model_validate(changed)


async def _receiving(services: Services, who: Principal, uuid: str) -> str:
    """The further admin that a tenant is handed over to, empty: the installation's. Raises Rejected."""
    if not who.admin:
        raise Rejected(403, NOT_ITS_OWN, field="admin")
    if uuid in ("", services.admin):
        return ""
    admin = await services.store.tenant(uuid)
    if admin is None or admin.role is not Role.ADMIN:
        raise Rejected(422, f"There is no further admin {uuid}.", field="admin")
    return uuid


@router.post("/tenants/{uuid}/key", summary="Replace a tenant's key")
async def rotate_key(
    request: Request, services: Wired, tenant: Changeable, _: Annotated[NoQuery, Query()]
) -> models.TenantWithKey:
    """Makes another key, which is in this answer and nowhere else. Within a second no gateway takes the old one."""
    key = new_key(tenant.uuid)
    changed = await services.store.change_tenant(tenant.uuid, TenantChange(key=digest(key)))
    if changed is None:
        raise unknown(tenant.uuid)
    await audit.record(request, f"{tenant.role} key replaced", tenant=tenant.uuid)
    return _with_key(changed, key)


@router.delete("/tenants/{uuid}", summary="Remove a tenant", status_code=204, response_class=Response)
async def remove_tenant(request: Request, services: Wired, tenant: Named, _: Annotated[NoQuery, Query()]) -> None:
    """Removes it with its modules, and calls and results that are kept. Calls under way finish, its runners end, and its
    UUID is nobody's. An admin that has tenants is not removed."""
    _require_other(services, tenant)
    if tenant.role is Role.ADMIN and await services.store.find_tenants("", "", 1, Role.TENANT, tenant.uuid):
        raise Rejected(
            409, "This admin has tenants: remove them first, or hand them over (PATCH admin of each).", field="uuid"
        )
    if not await services.store.remove_tenant(tenant.uuid):
        raise unknown(tenant.uuid)
    services.catalogue.follow(tenant.uuid)
    try:
        await services.kept.forget_owner(tenant.uuid)
    except KeptUnavailable as error:  # nobody is shown them any more, none is run, and their time will be over
        log.warning("calls and results of %s are forgotten later: %s", tenant.uuid, error)
    concerns = tenant.further_admin
    await audit.record(request, f"{tenant.role} removed", tenant=tenant.uuid, concerns=concerns, name=tenant.name)


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
    """Raises Rejected for the installation's admin, which may have a record among the others."""
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


def _taken(tenant: Tenant) -> Rejected:
    return Rejected(409, f"Another {tenant.role} is called {tenant.name}.", field="name")
