"""`/api/audit`: who changed what, when and from where."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints

from gateway.control.errors import Rejected
from gateway.control.keys import INSTALLATION, Principal
from gateway.control.models import OwnerUuid, PageQuery, Shown
from gateway.control.services import Who, Wired
from store import audit

router: Final = APIRouter(tags=["audit"])

What = Annotated[str, StringConstraints(pattern=r"^[a-z ]{0,60}$")]
EntryCursor = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class AuditQuery(PageQuery):
    """Which entries."""

    tenant: OwnerUuid | None = Field(None, description="Only those about this tenant")
    what: What = Field("", description="Only those whose `what` begins with this", examples=["module"])
    cursor: EntryCursor | None = Field(None, description="`next` of the page before")


class Entry(Shown):
    """One change that took effect."""

    id: str = Field(description="Where it stands in the trail, and in the line of the log that tells of it")
    time: float = Field(description="Unix time at which it was done")
    who: str = Field(
        description="`admin`, or the UUID of the tenant or further admin whose key it was", examples=["admin"]
    )
    what: str = Field(examples=["module uploaded"])
    address: str | None = Field(
        description="Where it came from; null: a tenant is not told where others come from", examples=["192.0.2.7"]
    )
    tenant: str | None = Field(description="UUID of the tenant that it is about; null: of none")
    about: dict[str, str] = Field(
        description="What else is to be known, never a secret", examples=[{"module": "shop", "version": "3"}]
    )


class Entries(Shown):
    """One page of the audit trail, the newest first."""

    entries: list[Entry]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last")


@router.get("/audit", summary="See who changed what")
async def read_audit(services: Wired, who: Who, query: Annotated[AuditQuery, Query()]) -> Entries:
    """Changes through the control plane, the newest first, for AUDIT_DAYS and up to AUDIT_ENTRIES of the admin and of
    each other one. They outlive the tenants that they are about. A tenant's key shows those about the tenant itself, a
    further admin's those about it and its tenants."""
    reads_of_others = who.admin or who.further
    if not reads_of_others and query.tenant not in (None, who.owner):
        raise Rejected(403, "What others changed takes the admin's key.", field="tenant")
    tenant = (query.tenant or "") if reads_of_others else who.owner
    admin = who.owner if who.further else ""
    found = await services.audit.find(tenant, query.what, query.cursor or "", query.limit + 1, admin)
    page = found[: query.limit]
    return Entries(
        entries=[_shown(entry, who) for entry in page], next=page[-1].id if len(found) > query.limit else None
    )


def _shown(entry: audit.Entry, to: Principal) -> Entry:
    return Entry(
        id=entry.id,
        time=entry.time,
        who=entry.who,
        what=entry.what,
        address=entry.address if _is_shown_where(entry, to) else None,
        tenant=entry.tenant or None,
        about=dict(entry.about),
    )


def _is_shown_where(entry: audit.Entry, to: Principal) -> bool:
    """Whether somebody is told where a change came from: their own, and an admin that of its tenants."""
    return to.admin or entry.who == to.owner or (to.further and entry.who != INSTALLATION)
