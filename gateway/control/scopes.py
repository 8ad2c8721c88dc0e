"""Which requests to the control plane the keys of tenants and of further admins open, by their scopes. What is not here
takes the key of the installation's admin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.api_keys import Scope

TENANTS: Final[Mapping[Scope, tuple[str, ...]]] = {
    Scope.CALL: ("POST /api/tenants/{uuid}/tokens",),
    Scope.DEPLOY: (
        "GET /api/modules",
        "GET /api/modules/{name}",
        "GET /api/endpoints",
        "GET /api/installation-key",
        "GET /api/tenants/{uuid}/modules",
        "PUT /api/tenants/{uuid}/modules/{name}",
        "DELETE /api/tenants/{uuid}/modules/{name}",
        "GET /api/tenants/{uuid}/modules/{name}/versions",
        "GET /api/tenants/{uuid}/modules/{name}/versions/{number}",
        "POST /api/tenants/{uuid}/modules/{name}/rollback",
    ),
    Scope.MANAGE: (
        "GET /api/tenants/{uuid}",
        "GET /api/tenants/{uuid}/api-keys",
        "POST /api/tenants/{uuid}/api-keys",
        "DELETE /api/tenants/{uuid}/api-keys/{id}",
        "GET /api/tenants/{uuid}/environ",
        "PUT /api/tenants/{uuid}/environ/{name}",
        "DELETE /api/tenants/{uuid}/environ/{name}",
        "GET /api/tenants/{uuid}/signing-keys",
        "POST /api/tenants/{uuid}/signing-keys",
        "GET /api/tenants/{uuid}/token-keys",
        "POST /api/tenants/{uuid}/token-keys",
        "DELETE /api/tenants/{uuid}/token-keys",
        "DELETE /api/tenants/{uuid}/token-keys/{id}",
        "GET /api/tenants/{uuid}/usage",
        "GET /api/audit",
        "GET /api/logs",
    ),
}
"""What is open to a tenant by method and path; `{uuid}` is its own alone. To a further admin it is open for itself, and
for its tenants."""
ADMINS: Final[Mapping[Scope, tuple[str, ...]]] = {
    Scope.MANAGE: (
        "GET /api/tenants",
        "POST /api/tenants",
        "PATCH /api/tenants/{uuid}",
        "DELETE /api/tenants/{uuid}",
        "POST /api/tenants/{uuid}/key",
        "DELETE /api/tenants/{uuid}/signing-keys/{id}",
    ),
}
"""What is open to a further admin besides; `{uuid}` is a tenant of its own, and not itself."""


class Opening(NamedTuple):
    """What a request takes."""

    scope: Scope
    """Of the key."""
    uuid: str | None
    """Whose is what it is about; None: whose the key is."""
    own: bool
    """Whether it is open for what is the key's owner's own."""


def _pattern(path: str) -> re.Pattern[bytes]:
    parts = re.sub(r"\{(\w+)\}", lambda found: "(?P<uuid>[^/]+)" if found[1] == "uuid" else "[^/]+", path)
    return re.compile(f"{parts}/?".encode())


_OPEN: Final = tuple(
    (method, _pattern(path), scope, own)
    for own, table in ((True, TENANTS), (False, ADMINS))
    for scope, routes in table.items()
    for method, _, path in (route.partition(" ") for route in routes)
)


def opening(method: str, raw_path: bytes) -> Opening | None:
    """What this request takes; None: the key of the installation's admin."""
    for its, pattern, scope, own in _OPEN:
        if its == ("GET" if method == "HEAD" else method) and (found := pattern.fullmatch(raw_path)):
            named = found.groupdict().get("uuid")
            return Opening(scope, None if named is None else named.decode("latin-1"), own)
    return None
