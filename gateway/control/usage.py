"""`/api/tenants/{uuid}/usage`: what a tenant used, by day."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field

from gateway.control.models import NoQuery, Shown
from gateway.control.services import Wired
from gateway.control.tenants import Named

router: Final = APIRouter(tags=["tenants"])
MAX_DAYS: Final = 366


class UsageQuery(NoQuery):
    """Which days."""

    days: int = Field(30, ge=1, le=MAX_DAYS, description="How many days, today included; USAGE_DAYS are kept")


class Day(Shown):
    """What a tenant used on one day."""

    day: str = Field(description="In UTC", examples=["2026-01-31"])
    calls: int = Field(description="Calls that were run, or refused because of a limit")
    errors: int = Field(description="Those answered 5xx")
    refused: int = Field(description="Those answered 429")
    cold_starts: int = Field(description="Those that waited for a runner")
    run_seconds: float = Field(description="Seconds that functions ran, by the clock")
    cpu_seconds: float = Field(
        description="Processor time of its runners: of functions and what they start, of imports, and of the runners' "
        "own start. It is there some seconds later"
    )
    bytes_in: int = Field(description="Bytes of request bodies")
    bytes_out: int = Field(description="Bytes of the bodies of answers")


class Usage(Shown):
    """Days on which something was used, the first one first."""

    days: list[Day]


@router.get("/tenants/{uuid}/usage", summary="See what a tenant used")
async def see_usage(services: Wired, tenant: Named, query: Annotated[UsageQuery, Query()]) -> Usage:
    """By day. What other processes have counted in the last seconds is not in it yet. Takes the tenant's own key too."""
    found = await services.usage.of(tenant.uuid, query.days)
    return Usage(
        days=[
            Day(day=day, **{name: getattr(used, name) for name in used.__struct_fields__})
            for day, used in found.items()
        ]
    )
