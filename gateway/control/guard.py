"""What every request to the control plane passes first: the key, the plain form of its path, its answer's headers."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.control.errors import problem

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


class Guard:
    """Lets only the holder of the admin's key near `/api`, before anything of the request is read.

    Whatever looks like `/api` once decoded, in any case and behind any slashes, needs the key, even
    where nothing is routed: no spelling of a path tells a stranger more than 401.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ANSWER_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        path = unquote_to_bytes(scope["raw_path"])
        if b"/api" in path.lower() and not self._admitted(scope["headers"]):
            refusal = problem(
                401,
                "The control plane takes Authorization: Bearer with the admin's key.",
                field="Authorization",
                headers={"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, answer)
            return
        if path != scope["raw_path"] or b"//" in path or b"/." in path:
            await problem(404, "There is nothing at this path.", field="path")(scope, receive, answer)
            return
        if _declared_length(scope) > MAX_BODY:
            await problem(413, f"A body has at most {MAX_BODY} bytes.", field="body")(scope, receive, answer)
            return
        await self._app(_plain(scope), receive, answer)

    def _admitted(self, headers: list[tuple[bytes, bytes]]) -> bool:
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return hmac.compare_digest(token, self._key) and scheme.lower() == b"bearer"


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
