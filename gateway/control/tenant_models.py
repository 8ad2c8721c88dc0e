"""What the control plane takes and gives of tenants and their uploaded modules."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, field_validator

from gateway.control.models import Endpoint, Given, ModuleDetail, PageQuery, Shown

MAX_TENANT_NAME = 100
MAX_ADDRESS = 200


_SIGNS = frozenset(" &'()+,-./@_")


def _plain(name: str) -> str:
    odd = next((char for char in name if unicodedata.category(char)[0] not in "LMN" and char not in _SIGNS), None)
    if odd is not None:
        raise ValueError(f"{odd!a} is none of letters, digits, spaces and & ' ( ) + , - . / @ _")
    return name


def _named(name: str) -> str:
    if not name[0].isalnum() or name[-1] == " ":
        raise ValueError("a name begins with a letter or digit, and no space stands at its end")
    return name


TenantName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TENANT_NAME),
    AfterValidator(_plain),
    AfterValidator(_named),
]
PlanName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
TenantCursor = Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")]
Role = Literal["tenant", "admin"]
AdminUuid = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]


class TenantsQuery(PageQuery):
    """Which tenants."""

    search: Annotated[str, AfterValidator(_plain)] = Field(
        "", max_length=MAX_TENANT_NAME, description="Only those whose name or UUID begins with this"
    )
    role: Role | None = Field(None, description="Only tenants, or only admins")
    admin: AdminUuid | None = Field(
        None, description="Only this further admin and its tenants; empty: those of the installation's admin"
    )
    cursor: TenantCursor | None = Field(None, description="`next` of the page before")


_NAME = (
    "For people: letters, digits, spaces and & ' ( ) + , - . / @ _; no two tenants of one admin have the same, nor two "
    "admins, whatever its case"
)


class NewTenant(Given):
    """A tenant, or a further admin, to be registered. Its UUID and key are made by Plugbay."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada's shop", "plan": "free"}]})

    name: TenantName = Field(description=_NAME)
    role: Role = Field("tenant", description="`admin`: a further one, which only the installation's admin registers")
    plan: PlanName = Field("free", description="Of a tenant: name of a plan in plans.toml")


class TenantPatch(Given):
    """What of a tenant or further admin is to change; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "disabled"}]})

    name: TenantName | None = Field(None, description=_NAME)
    plan: PlanName | None = Field(None, description="Of a tenant: name of a plan in plans.toml")
    admin: AdminUuid | None = Field(
        None,
        description="UUID of the further admin whose tenant it becomes, empty: the installation's; takes the key of the "
        "installation's admin",
    )
    status: Literal["enabled", "disabled"] | None = Field(
        None, description="Calls of one that is disabled are answered 403, and so is its key"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        if value is None:
            raise ValueError("null is no value: leave out what is to stay")
        return value


class NewElevation(Given):
    """Where a tenant moves to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"address": "http://127.0.0.1:8081"}]})

    address: str = Field(
        max_length=MAX_ADDRESS,
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~-]+)*$",
        description="Of its installation, as callers are told it: a URL without a slash at its end",
    )


class Tenant(Shown):
    """One tenant, or a further admin."""

    uuid: str = Field(description="First segment of its URLs", examples=["0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"])
    name: str = Field(examples=["Ada's shop"])
    role: str = Field(description="`tenant` or `admin`", examples=["tenant"])
    admin: str = Field(
        description="UUID of the further admin whose tenant it is; empty: it is the installation's, or an admin itself"
    )
    plan: str = Field(description="Empty: it is an admin, and no plan bounds it", examples=["free"])
    status: str = Field(description="`enabled`, `disabled` or `elevated`", examples=["enabled"])
    created: float = Field(description="Unix time at which it was registered; 0: not known")
    address: str = Field(description="Of its own installation, where it moves to or has moved; empty: it stays")


class TenantWithKey(Tenant):
    """One tenant, and its key to the control plane, which is shown this once."""

    key: str = Field(description="For `Authorization: Bearer`; kept nowhere: who loses it has it replaced")


class Tenants(Shown):
    """One page of tenants, by UUID."""

    tenants: list[Tenant]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last")


class UploadedModule(ModuleDetail):
    """One module, as an upload of it is answered."""

    exposes: list[Endpoint] = Field(description="What can be called")
