"""What a plugin author imports: plain Python functions become REST endpoints.

    import expose          # `from vyperlogix.decorators import expose` is the same thing

    @expose.endpoint(method="GET|POST", API="hello-world")
    def hello(name: str = "world") -> dict[str, str]:
        return {"hello": name}

Decorated functions stay plain functions: a test calls them directly, no server needed. Besides JSON
values a function may return `bytes` or `expose.Response`, and may raise `expose.HTTPError`; an
`assert` that fails answers 403. Uploaded files arrive as `expose.File`. `expose.command` runs a
program in another language. `expose.totp` checks the code of an authenticator app.
"""

from __future__ import annotations

from expose.answers import HTTPError, Response
from expose.commands import CommandFailed, command
from expose.endpoints import EndpointSpec, endpoint
from expose.files import File
from expose.one_time import totp, totp_step

__all__ = [
    "CommandFailed",
    "EndpointSpec",
    "File",
    "HTTPError",
    "Response",
    "command",
    "endpoint",
    "totp",
    "totp_step",
]
