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

log = logging.getLogger("plugbay.audit")
log.setLevel(logging.INFO)


async def record(request: Request, what: str, tenant: str = "", **about: str) -> None:
    """`what` was done in this request: to this tenant, if to one, and `about` says what else is to be known. Nothing
    of it may be a secret. To be called once, when the change has taken effect."""
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
    )
    said = told(entry)
    log.info("%s", " ".join(f"{name}={value}" for name, value in said.items()), extra={"audit": said})
    await services.audit.add(entry)
