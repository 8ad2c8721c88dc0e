"""Who changed what, from where: one line of the log per change, whatever LOG_LEVEL is."""

from __future__ import annotations

import logging

from fastapi import Request

from gateway.control.guard import PRINCIPAL
from gateway.control.keys import Principal

log = logging.getLogger("plugbay.audit")
log.setLevel(logging.INFO)


def record(request: Request, what: str, **about: str) -> None:
    """`what` was done in this request; `about` says to what. Nothing of it may be a secret."""
    principal: Principal = request.scope[PRINCIPAL]
    told = {
        "who": "admin" if principal.admin else principal.owner,
        "what": what,
        "from": request.client.host if request.client else "",
        **about,
    }
    log.info("%s", " ".join(f"{name}={value}" for name, value in told.items()), extra={"audit": told})
