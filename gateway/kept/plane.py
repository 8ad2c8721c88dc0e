"""`/rest/calls/<id>`: what became of a call that nobody waited for. Who has the id may see and forget it, with the same
credential as for a call, where calls take one."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from calls.call import new_call_id
from calls.kept import Found, KeptCalls, KeptUnavailable
from gateway import answers
from gateway.admission import Admission
from gateway.answers import Answer
from gateway.headers import NO_STORE
from gateway.http.exchange import WHOLE
from gateway.identity import SignIn
from gateway.kept import results
from gateway.observers import Observers
from gateway.serving import Tenants
from settings import Settings
from store.contract import Status, StoreUnavailable

METHODS: Final = ("GET", "HEAD", "DELETE")

_ID: Final = re.compile(rb"/rest/calls/([0-9a-f]{48})/?")
_LOGGED: Final = "/rest/calls/…"
"""The path as it stands in the log: who reads the log has no right to the result."""
_RETRY: Final = (b"retry-after", b"1")


class ResultPlane:
    """The ASGI application of `/rest/calls/`."""

    def __init__(
        self, settings: Settings, kept: KeptCalls, tenants: Tenants, admission: Admission, observers: Observers
    ) -> None:
        self._admin = str(settings.ADMIN_UUID)
        self._kept = kept
        self._tenants = tenants
        self._admission = admission
        self._observers = observers
        self._cors = answers.cors(settings.CORS_ORIGINS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002  # no method has a body
        """Answers one request."""
        began, call = time.perf_counter(), new_call_id()
        try:
            answer = await self._answer(scope)
        except KeptUnavailable as error:
            answer = results.unavailable(error)
        except StoreUnavailable as error:
            answer = answers.refused(503, f"the store is not available: {error}", (_RETRY,))
        if NO_STORE not in answer.headers:
            answer.headers += (NO_STORE,)
        headers = answers.headers(answer, call, self._cors)
        await send({"type": WHOLE, "status": answer.status, "headers": headers, "body": answer.body})
        client = scope["client"]
        seconds = time.perf_counter() - began
        self._observers.answered(call, client[0] if client else "", scope["method"], _LOGGED, answer, seconds)

    async def _answer(self, scope: Any) -> Answer:
        method = scope["method"]
        if method == "OPTIONS":
            return answers.options(METHODS)
        if method not in METHODS:
            return answers.method_not_allowed(method, METHODS)
        named = _ID.fullmatch(scope["raw_path"])
        id = named[1].decode() if named else ""
        found = await self._kept.find(id) if id else None
        if found is None:
            return _nothing()
        refusal = await self._refusal(scope, found)
        if refusal is not None:
            return refusal
        if method == "DELETE":
            return Answer(204, b"", (), "FORGOTTEN") if await self._kept.forget(id) else _nothing()
        if found.result is None:
            waits = answers.json(202, {"status": "the call has no result yet"})
            waits.headers += (_RETRY,)
            waits.outcome = "PENDING"
            return waits
        return results.give(found.result)

    async def _refusal(self, scope: Any, found: Found) -> Answer | None:
        """Why this is not shown, as a call of its function would be refused. Raises StoreUnavailable."""
        tenant = None
        if found.owner != self._admin:
            tenant = await self._tenants.tenant(found.owner)
            if tenant is None:
                return _nothing()
            if tenant.status is not Status.ENABLED:
                return answers.not_here(tenant)
        return await self._admission.refusal(scope, SignIn.of(scope), found.owner, tenant)


def _nothing() -> Answer:
    return answers.refused(404, "there is no such call, or its time is over")
