"""`/api/installation-key`: what uploads are sealed to, so that this installation alone can read them."""

from __future__ import annotations

import base64
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field

from catalogue.sealed import fingerprint
from gateway.control.errors import Rejected
from gateway.control.models import NoQuery, Shown
from gateway.control.services import Wired

router: Final = APIRouter(tags=["tenants"])


class InstallationKey(Shown):
    """The public half of the installation's key pair of X25519."""

    public_key: str = Field(description="Its 32 bytes, in base64")
    fingerprint: str = Field(
        description="The first 16 bytes of the SHA-256 of the public key, in hexadecimal: to be compared with what "
        "the admin says"
    )


@router.get("/installation-key", summary="See the key that uploads can be sealed to")
async def see_installation_key(services: Wired, _: Annotated[NoQuery, Query()]) -> InstallationKey:
    """Who gets it over a connection that others can change compares its fingerprint. Takes a tenant's own key
    too."""
    public = services.installation_keys.public
    if public is None:
        raise Rejected(
            404, "This installation has no INSTALLATION_KEY: the next start makes it, in .env.local.", field="path"
        )
    return InstallationKey(public_key=base64.b64encode(public).decode(), fingerprint=fingerprint(public))
