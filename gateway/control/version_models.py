"""What the control plane takes and gives of versions of modules, and of the keys that uploads are signed with."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from catalogue import signing_keys
from gateway.control.models import Given, Shown
from gateway.control.tenant_models import TenantName


def _public(text: str) -> str:
    try:
        signing_keys.checked(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise ValueError("this is no base64") from error
    return text


class Version(Shown):
    """One version of an uploaded module."""

    number: int = Field(examples=[3])
    digest: str = Field(description="Content address of its files")
    created: float = Field(description="Unix time of the upload; 0: not known")
    signed_by: str = Field(description="Id of the key that it was signed with; empty: it was not")
    serves: bool = Field(description="Whether this is the one that serves")


class Versions(Shown):
    """The versions of a module that are kept, the newest last."""

    versions: list[Version]


class Rollback(Given):
    """Which version is to serve again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 2}]})

    version: int = Field(ge=1, le=2**53, description="Its number")


class NewSigningKey(Given):
    """The public half of a key pair of Ed25519."""

    name: TenantName = Field(description="For people", examples=["Ada's laptop"])
    public_key: Annotated[str, AfterValidator(_public)] = Field(
        min_length=44, max_length=44, description="Its 32 bytes, in base64"
    )


class SigningKey(Shown):
    """A key that uploads may be signed with."""

    id: str = Field(description="The first 8 bytes of the SHA-256 of the public key, in hexadecimal")
    name: str
    public_key: str = Field(description="In base64")
    created: float = Field(description="Unix time at which it was registered")


class SigningKeys(Shown):
    """The keys that uploads of a tenant may be signed with, the newest last."""

    keys: list[SigningKey]
