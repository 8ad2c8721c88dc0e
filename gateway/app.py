"""The gateway's one ASGI application: the data plane under `/rest/services/`, results under `/rest/calls/`, the
control plane elsewhere."""

from __future__ import annotations

from typing import Any

from gateway.kept.results import PREFIX as RESULTS
from gateway.request.path import PREFIX


class Application:
    """Sends each request to the plane that it is for, by its raw path."""

    def __init__(self, data: Any, kept: Any, control: Any) -> None:
        self._data = data
        self._kept = kept
        self._control = control

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See the ASGI specification, version 3.0."""
        path = scope["raw_path"] if scope["type"] == "http" else b""
        if path.startswith(PREFIX) or path == PREFIX[:-1]:
            await self._data(scope, receive, send)
        elif path.startswith(RESULTS):
            await self._kept(scope, receive, send)
        else:
            await self._control(scope, receive, send)
