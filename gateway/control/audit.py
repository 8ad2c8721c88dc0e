"""Who changed what, from where: an entry of the audit trail per change, and a line of the log, whatever LOG_LEVEL is."""

from __future__ import annotations

import logging
import time

from fastapi import Request

from gateway.audit_trail import told
from gateway.control.guard import PRINCIPAL
from gateway.control.keys import Principal
from gateway.control.services import Services
from store.audit import Entry, new_id
from store.contract import StoreUnavailable

log = logging.getLogger("plugbay.audit")
log.setLevel(logging.INFO)


async def record(request: Request, what: str, tenant: str = "", concerns: str | None = None, **about: str) -> None:
    """`what` was done in this request: to this tenant, if to one, and `about` says what else is to be known. Nothing
    of it may be a secret. To be called once, when the change has taken effect. `concerns`: UUID of the further admin
    that may see it, empty for none; to be given where the tenant, as it is now, does not say."""
    services: Services = request.app.state.services
    principal: Principal = request.scope[PRINCIPAL]
    if principal.api_key:
        about["api_key"] = principal.api_key
    entry = Entry(
        id=new_id(time.time()),
        who=principal.called,
        what=what,
        address=request.client.host if request.client else "",
        tenant=tenant,
        about=tuple(about.items()),
        admin=await _concerned(services, principal, tenant) if concerns is None else concerns,
    )
    said = told(entry)
    log.info("%s", " ".join(f"{name}={value}" for name, value in said.items()), extra={"audit": said})
    await services.audit.add(entry)


async def _concerned(services: Services, principal: Principal, tenant: str) -> str:
    """UUID of the further admin that did something, or whose tenant it was done to; empty: of none."""
    if principal.further:
        return principal.owner
    try:
        found = await services.store.tenant(tenant) if tenant else None
    except StoreUnavailable:  # since the change was made: only the installation's admin sees it
        return ""
    return "" if found is None else found.further_admin
