"""`/api/tenants/<uuid>/signing-keys`: the keys that a tenant's uploads may be signed with."""

from __future__ import annotations

import base64
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from catalogue import signing_keys
from gateway.control import audit
from gateway.control import version_models as models
from gateway.control.errors import Rejected
from gateway.control.models import NoQuery
from gateway.control.services import Who, Wired
from gateway.control.tenants import CONFLICT, Changeable, Named

router: Final = APIRouter(tags=["tenants"])


@router.get("/tenants/{uuid}/signing-keys", summary="List the keys for signatures")
async def list_signing_keys(tenant: Named, _: Annotated[NoQuery, Query()]) -> models.SigningKeys:
    """The keys that uploads may be signed with, the newest last. Takes the tenant's own key too."""
    return models.SigningKeys(keys=[_shown(key) for key in signing_keys.of(tenant)])


@router.post(
    "/tenants/{uuid}/signing-keys", summary="Register a key for signatures", status_code=201, responses=CONFLICT
)
async def register_signing_key(
    request: Request,
    services: Wired,
    who: Who,
    tenant: Changeable,
    given: models.NewSigningKey,
    _: Annotated[NoQuery, Query()],
) -> models.SigningKey:
    """Has uploads that are signed with it be taken. The tenant's own key may register the first one; with one there
    it takes the admin's, so that who has the tenant's key cannot sign in its name."""
    public = base64.b64decode(given.public_key)
    try:
        key = await services.catalogue.uploads.signing_keys.add(
            tenant.uuid, given.name, public, first=not who.rules(tenant)
        )
    except signing_keys.TooManyKeys as error:
        raise Rejected(409, str(error), field="public_key") from error
    if key is None and not who.rules(tenant):
        raise Rejected(
            403, "The tenant has a key for signatures: another one takes the admin's key.", field="public_key"
        )
    if key is None:
        raise Rejected(404, f"There is no tenant {tenant.uuid} any more.", field="uuid")
    await audit.record(request, "signing key registered", tenant=tenant.uuid, id=key.id)
    return _shown(key)


@router.delete(
    "/tenants/{uuid}/signing-keys/{id}", summary="Remove a key for signatures", status_code=204, response_class=Response
)
async def remove_signing_key(
    request: Request,
    services: Wired,
    tenant: Changeable,
    id: Annotated[str, Path(description="Id of the key", pattern=r"^[0-9a-f]{16}$")],
    _: Annotated[NoQuery, Query()],
) -> None:
    """Uploads that are signed with it are refused, within a second; versions that were serve on."""
    if not await services.catalogue.uploads.signing_keys.remove(tenant.uuid, id):
        raise Rejected(404, f"There is no key {id} for signatures.", field="id")
    await audit.record(request, "signing key removed", tenant=tenant.uuid, id=id)


def _shown(key: signing_keys.SigningKey) -> models.SigningKey:
    public = base64.b64encode(key.public).decode()
    return models.SigningKey(id=key.id, name=key.name, public_key=public, created=key.created)
