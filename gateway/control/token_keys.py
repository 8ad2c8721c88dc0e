"""`/api/tenants/{uuid}/token-keys`: the keys that tokens for an owner's functions are made with."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from gateway.control import audit
from gateway.control import token_models as models
from gateway.control.errors import Rejected
from gateway.control.keys import UUID as FORM
from gateway.control.models import NoQuery
from gateway.control.services import Wired
from gateway.control.tenants import require_changeable, unknown
from plugbay_client.token import TokenKey, mint
from store.sealing import Unsealable

router: Final = APIRouter(tags=["tokens"])


async def _named(
    services: Wired,
    uuid: Annotated[str, Path(description="UUID of the tenant, or of the admin, in lower case with hyphens")],
) -> str:
    """The owner in the path."""
    if uuid != services.admin and (not FORM.fullmatch(uuid) or await services.store.tenant(uuid) is None):
        raise unknown(uuid)
    return uuid


Owner = Annotated[str, Depends(_named)]


async def _changeable(services: Wired, owner: Owner) -> str:
    """The owner in the path, whose keys are to be changed."""
    tenant = None if owner == services.admin else await services.store.tenant(owner)
    if tenant is not None:
        require_changeable(tenant)
    return owner


Changeable = Annotated[str, Depends(_changeable)]


@router.get("/tenants/{uuid}/token-keys", summary="List the keys for tokens")
async def list_token_keys(services: Wired, owner: Owner, _: Annotated[NoQuery, Query()]) -> models.TokenKeys:
    """The keys that tokens may be made with now, the newest last, by their ids alone. Takes the tenant's own key too."""
    try:
        keys = await services.token_keys.of(owner)
    except Unsealable as error:
        raise _unreadable(error) from error
    return models.TokenKeys(keys=[models.TokenKey(id=key.id.hex(), created=key.created) for key in keys])


@router.post("/tenants/{uuid}/token-keys", summary="Make a key for tokens", status_code=201)
async def make_token_key(
    request: Request, services: Wired, owner: Changeable, _: Annotated[NoQuery, Query()]
) -> models.NewTokenKey:
    """Another key, which is in this answer and never shown again. Two are good at once: one that was made before the
    last one is good no more, within a second. Takes the tenant's own key too."""
    try:
        key, kept = await services.token_keys.make(owner)
    except Unsealable as error:
        raise _unreadable(error) from error
    await audit.record(request, "token key made", tenant=owner, id=key.id.hex())
    return models.NewTokenKey(id=key.id.hex(), created=kept.created, key=key.text())


@router.delete(
    "/tenants/{uuid}/token-keys/{id}", summary="Retire a key for tokens", status_code=204, response_class=Response
)
async def retire_token_key(
    request: Request,
    services: Wired,
    owner: Changeable,
    id: Annotated[str, Path(description="Id of the key, 8 hexadecimal digits", pattern=r"^[0-9a-f]{8}$")],
    _: Annotated[NoQuery, Query()],
) -> None:
    """Tokens made with it are good no more, within a second. Takes the tenant's own key too."""
    try:
        retired = await services.token_keys.retire(owner, bytes.fromhex(id))
    except Unsealable as error:
        raise _unreadable(error) from error
    if not retired:
        raise Rejected(404, f"There is no key {id} for tokens.", field="id")
    await audit.record(request, "token key retired", tenant=owner, id=id)


@router.delete(
    "/tenants/{uuid}/token-keys", summary="Retire all keys for tokens", status_code=204, response_class=Response
)
async def retire_token_keys(
    request: Request, services: Wired, owner: Changeable, _: Annotated[NoQuery, Query()]
) -> None:
    """Also those that cannot be read, because SECRETS_KEY is another one now. Takes the tenant's own key too."""
    await services.token_keys.forget(owner)
    await audit.record(request, "token keys retired", tenant=owner)


@router.post("/tenants/{uuid}/tokens", summary="Make a token", responses={409: {"description": "There is no key yet"}})
async def make_token(
    services: Wired, owner: Owner, wanted: models.TokenRequest, _: Annotated[NoQuery, Query()]
) -> models.Token:
    """A token for one request, made with the newest key: for tools that have a key of the control plane and none
    for tokens. Takes the tenant's own key too."""
    try:
        keys = await services.token_keys.of(owner)
    except Unsealable as error:
        raise _unreadable(error) from error
    if not keys:
        raise Rejected(409, "There is no key for tokens yet: make one (plugbay token new-key).", field="uuid")
    newest = TokenKey(keys[-1].id, keys[-1].secret)
    try:
        return models.Token(token=mint(newest, UUID(owner), wanted.method, wanted.target))
    except ValueError as error:
        raise Rejected(422, str(error), field="target") from error


def _unreadable(error: Unsealable) -> Rejected:
    return Rejected(503, f"The keys for tokens cannot be used: {error}.", field="SECRETS_KEY", retry_after=60)
