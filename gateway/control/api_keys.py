"""`/api/tenants/{uuid}/api-keys`: a tenant's further keys, with scopes and an end."""

from __future__ import annotations

import time
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from gateway import api_keys
from gateway.api_keys import Scope
from gateway.control import api_key_models as models
from gateway.control import audit
from gateway.control.errors import Rejected
from gateway.control.models import NoQuery
from gateway.control.services import Wired
from gateway.control.tenants import CONFLICT, Changeable, Named

router: Final = APIRouter(tags=["tenants"])


@router.get("/tenants/{uuid}/api-keys", summary="List a tenant's API keys")
async def list_api_keys(tenant: Named, _: Annotated[NoQuery, Query()]) -> models.ApiKeys:
    """Those that were made and not revoked, also when they have ended, without their texts. Takes the tenant's own
    key too, with the scope `manage`."""
    return models.ApiKeys(keys=[models.ApiKey.model_validate(key) for key in api_keys.of(tenant)])


@router.post("/tenants/{uuid}/api-keys", summary="Make an API key", status_code=201, responses=CONFLICT)
async def make_api_key(
    request: Request, services: Wired, tenant: Changeable, given: models.NewApiKey, _: Annotated[NoQuery, Query()]
) -> models.ApiKeyWithText:
    """Another key, which is in this answer and never shown again. Forgets those that have ended. Takes the tenant's
    own key too, with the scope `manage`."""
    scopes = [Scope(scope) for scope in given.scopes]
    try:
        made = await api_keys.make(services.store, tenant.uuid, given.name, scopes, _end(given))
    except api_keys.TooManyKeys as error:
        raise Rejected(409, f"{error}.", field="uuid") from error
    if made is None:
        raise Rejected(404, f"There is no tenant {tenant.uuid} any more.", field="uuid")
    text, key = made
    await audit.record(
        request, "API key made", tenant=tenant.uuid, id=key.id, name=key.name, scopes=",".join(key.scopes)
    )
    return models.ApiKeyWithText(**models.ApiKey.model_validate(key).model_dump(), key=text)


@router.delete("/tenants/{uuid}/api-keys/{id}", summary="Revoke an API key", status_code=204, response_class=Response)
async def revoke_api_key(
    request: Request,
    services: Wired,
    tenant: Changeable,
    id: Annotated[str, Path(description="Id of the key, 16 hexadecimal digits", pattern=r"^[0-9a-f]{16}$")],
    _: Annotated[NoQuery, Query()],
) -> None:
    """It is good no more, within a second at every gateway. Takes the tenant's own key too, with the scope
    `manage`."""
    if not await api_keys.revoke(services.store, tenant.uuid, id):
        raise Rejected(404, f"There is no API key {id}.", field="id")
    await audit.record(request, "API key revoked", tenant=tenant.uuid, id=id)


def _end(given: models.NewApiKey) -> float | None:
    """Unix time from which on the key is to be good no more; None: never."""
    now = time.time()
    if given.expires_in is not None:
        if given.expires is not None:
            raise Rejected(422, "Say expires or expires_in, and not both.", field="expires_in")
        return now + given.expires_in
    if given.expires is None:
        return None
    end = models.moment(given.expires)
    if end <= now:
        raise Rejected(422, f"{given.expires} is over: nobody could use the key.", field="expires")
    return end
