"""What every request to the control plane passes first: the key, the plain form of its path, its answer's headers."""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.control.answer import Answer
from gateway.control.errors import problem, store_away
from gateway.control.keys import Keys, Principal
from store.contract import StoreUnavailable

log = logging.getLogger("plugbay.audit")

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing inline and nothing from elsewhere; `data:` pictures are what Swagger UI's style sheet draws with."""

MAX_BODY: Final = 64 * 1024
"""Bytes of a request body."""

ANSWER_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

PRINCIPAL: Final = "plugbay.principal"
"""Where in the scope of a request stands who sent it."""
STILL: Final = "plugbay.still"
"""Where stands what tells whether they might send it now: a request may last longer than its key."""

_READING: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_SHOWN: Final = 200
"""Characters of a path that are logged."""
_UPLOAD: Final = re.compile(rb"/api/tenants/[^/]+/modules/[^/]+/?")


class Guard:
    """Lets only holders of a key near `/api`, before anything of the request is read, tenants only to what is their
    own, and further admins only to that and what is their tenants'.

    Whatever looks like `/api` once decoded, in any case and behind any slashes, needs the key, even
    where nothing is routed: no spelling of a path tells a stranger more than 401, or a tenant more than 403.
    """

    def __init__(self, app: ASGIApp, keys: Keys, max_upload: int) -> None:
        self._app = app
        self._keys = keys
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ANSWER_HEADERS.items():
                    headers.setdefault(name, value)
                _tell_refused(scope, message["status"])
            await send(message)

        refusal = await self._refusal(scope)
        if refusal is None:
            await self._app(_plain(scope), receive, answer)
        else:
            await refusal(scope, receive, answer)

    async def _refusal(self, scope: Scope) -> Answer | None:
        """Why the request is not let through; None when it is."""
        path = unquote_to_bytes(scope["raw_path"])
        if b"/api" in path.lower():
            try:
                principal = await self._keys.holder(scope["headers"])
                why = None
                if principal is not None:
                    why = await self._keys.forbids(principal, scope["method"], scope["raw_path"])
            except StoreUnavailable as error:
                return store_away(error)
            if principal is None:
                return problem(
                    401,
                    "The control plane takes Authorization: Bearer with the admin's key, or a tenant's.",
                    field="Authorization",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            scope[PRINCIPAL] = principal
            if why is not None:
                return problem(403, why, field="Authorization")
            scope[STILL] = partial(self._still, scope["headers"], scope["method"], scope["raw_path"])
        if path != scope["raw_path"] or b"//" in path or b"/." in path:
            return problem(404, "There is nothing at this path.", field="path")
        most = self._max_upload if scope["method"] == "PUT" and _UPLOAD.fullmatch(path) else MAX_BODY
        if _declared_length(scope) > most:
            return problem(413, f"A body has at most {most} bytes.", field="body")
        return None

    async def _still(self, headers: list[tuple[bytes, bytes]], method: str, raw_path: bytes) -> bool:
        """Whether a request that was let through would be now."""
        try:
            principal = await self._keys.holder(headers)
            return principal is not None and await self._keys.forbids(principal, method, raw_path) is None
        except StoreUnavailable:
            return False


def _tell_refused(scope: Scope, status: int) -> None:
    """A line of the log when somebody came without a good key or for what is not theirs, or when a change was not
    made, or, 5xx, not known to be. The audit trail has what was done alone: else strangers could fill it."""
    principal: Principal | None = scope.get(PRINCIPAL)
    if status < 400 or (status not in (401, 403) and (principal is None or scope["method"] in _READING)):
        return
    told = {
        "who": "" if principal is None else principal.called,
        "what": "refused",
        "from": scope["client"][0] if scope["client"] else "",
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1")[:_SHOWN],
        "status": str(status),
    }
    log.info("%s", " ".join(f"{name}={value}" for name, value in told.items()), extra={"audit": told})


def _declared_length(scope: Scope) -> int:
    """Bytes of the body as announced; the server has checked that it is a number."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


def _plain(scope: Scope) -> Scope:
    """The request as its plain form: no trailing slash, HEAD as GET (the server sends no body for it)."""
    path = scope["path"]
    return {
        **scope,
        "path": path.rstrip("/") if len(path) > 1 else path,
        "method": "GET" if scope["method"] == "HEAD" else scope["method"],
    }
