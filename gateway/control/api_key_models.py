"""What the control plane takes and gives of tenants' API keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field

from gateway.control.models import Given, Shown
from gateway.control.tenant_models import TenantName

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2}))?")


def moment(text: str) -> float:
    """Unix time of a date, which is its beginning in UTC, or of a date with time and zone (RFC 3339). Raises
    ValueError."""
    if not _MOMENT.fullmatch(text):
        raise ValueError("write it like 2027-01-31, or 2027-01-31T18:00:00Z")
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _is_moment(text: str) -> str:
    moment(text)
    return text


def _each_once(scopes: list[str]) -> list[str]:
    if len(set(scopes)) < len(scopes):
        raise ValueError("each scope is named once")
    return scopes


class NewApiKey(Given):
    """What a new key is to open, and until when."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Build server", "scopes": ["deploy"], "expires": "2027-01-31"}]}
    )

    name: TenantName = Field(description="For people")
    scopes: Annotated[list[Literal["call", "deploy", "manage"]], AfterValidator(_each_once)] = Field(
        min_length=1, max_length=3, description="What it opens; `manage` opens what the others do, too"
    )
    expires: Annotated[str, AfterValidator(_is_moment)] | None = Field(
        None,
        max_length=25,
        description="From when on it is good no more: a date, which begins in UTC, or one with time and zone (RFC 3339)",
    )
    expires_in: int | None = Field(None, ge=1, le=2**31, description="The same in seconds from now; neither: no end")


class ApiKey(Shown):
    """A key of a tenant, without what is secret of it."""

    id: str = Field(description="Stands in the key", examples=["0a1b2c3d4e5f6071"])
    name: str = Field(examples=["Build server"])
    scopes: list[str] = Field(examples=[["deploy"]])
    created: float = Field(description="Unix time at which it was made")
    expires: float | None = Field(description="Unix time from which on it is good no more; null: it has no end")


class ApiKeys(Shown):
    """A tenant's API keys, the newest last."""

    keys: list[ApiKey]


class ApiKeyWithText(ApiKey):
    """A key, shown this once."""

    key: str = Field(description="`pba_…`, for `Authorization: Bearer`; kept nowhere")
