"""`/api/tenants/{uuid}/environ`: environment variables of a tenant's functions."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from gateway.control import audit
from gateway.control import environ_models as models
from gateway.control.answer import Answer
from gateway.control.errors import Rejected
from gateway.control.models import NoQuery, Problem
from gateway.control.services import Services, Wired
from gateway.control.tenants import Changeable, Named, require_changeable
from store.contract import Conflict
from store.sealing import Unsealable
from store.variables import TooMuch, Variable, name_flaw

router: Final = APIRouter(tags=["tenants"])

_CONFLICT: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": Problem, "description": "Others change this tenant's variables at the same time"}
}
Name = Annotated[str, Path(description="Name of the variable", examples=["DATABASE_URL"])]


@router.get("/tenants/{uuid}/environ", summary="List a tenant's variables")
async def list_environ(services: Wired, tenant: Named, _: Annotated[NoQuery, Query()]) -> models.Environ:
    """All variables by name, without the values of secret ones, which nobody is shown. Takes the tenant's own key too."""
    try:
        found = await services.variables.of(tenant.uuid)
    except Unsealable as error:
        raise _unreadable(error) from error
    return models.Environ(variables=[_shown(variable) for variable in found])


@router.put(
    "/tenants/{uuid}/environ/{name}",
    summary="Set a variable",
    response_model=models.Variable,
    responses=_CONFLICT | {201: {"model": models.Variable, "description": "There was none of this name"}},
)
async def set_variable(
    request: Request,
    services: Wired,
    tenant: Changeable,
    name: Name,
    given: models.NewVariable,
    query: Annotated[models.ModuleQuery, Query()],
) -> Answer:
    """Sets a variable that the tenant's functions find in `os.environ`: those of one module, or all. Its workers are
    replaced within a second, each once its calls are answered. Takes the tenant's own key too."""
    if flaw := name_flaw(name):
        raise Rejected(422, f"The variable cannot be set: {flaw[:200]}.", field="name")
    variable = Variable(name, given.value, given.secret, query.module)
    try:
        replaced = await services.variables.set(tenant.uuid, variable)
    except TooMuch as error:
        raise Rejected(422, f"The variable cannot be set: {error}.", field="value") from error
    except Conflict as error:
        raise _changing(error) from error
    except Unsealable as error:
        raise _unreadable(error) from error
    await _stands(services, tenant.uuid)
    await audit.record(request, "variable set", tenant=tenant.uuid, name=name, module=query.module)
    return Answer(_shown(variable).model_dump(), 200 if replaced else 201)


@router.delete(
    "/tenants/{uuid}/environ/{name}",
    summary="Unset a variable",
    status_code=204,
    response_class=Response,
    responses=_CONFLICT,
)
async def unset_variable(
    request: Request, services: Wired, tenant: Changeable, name: Name, query: Annotated[models.ModuleQuery, Query()]
) -> None:
    """Forgets a variable of one module, or that of all. Takes the tenant's own key too."""
    try:
        there = await services.variables.unset(tenant.uuid, name, query.module)
    except Conflict as error:
        raise _changing(error) from error
    except Unsealable as error:
        raise _unreadable(error) from error
    if not there:
        of = f" of module {query.module}" if query.module else ""
        raise Rejected(404, f"There is no variable {name[:128]!a}{of}.", field="name")
    await _stands(services, tenant.uuid)
    await audit.record(request, "variable unset", tenant=tenant.uuid, name=name, module=query.module)


async def _stands(services: Services, uuid: str) -> None:
    """What was stored counts, if the tenant is still there, and here."""
    tenant = await services.store.tenant(uuid)
    if tenant is None:
        await services.store.remove_tenant(uuid)
        raise Rejected(404, f"There is no tenant {uuid} any more.", field="uuid")
    require_changeable(tenant)  # what moves along may have been copied before
    services.variables_changed(uuid)


def _shown(variable: Variable) -> models.Variable:
    return models.Variable(
        name=variable.name,
        module=variable.module or None,
        secret=variable.secret,
        value=None if variable.secret else variable.value,
    )


def _changing(error: Conflict) -> Rejected:
    return Rejected(409, f"The variable was not changed: {error}.", field="name", retry_after=1)


def _unreadable(error: Unsealable) -> Rejected:
    return Rejected(503, f"Variables cannot be used: {error}", field="SECRETS_KEY", retry_after=60)
