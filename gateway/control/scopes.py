"""Which requests to the control plane a tenant's key opens, by its scopes. What is not here takes the admin's key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

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
"""What is open to a tenant by method and path; `{uuid}` is its own alone."""


def _pattern(path: str) -> re.Pattern[bytes]:
    parts = re.sub(r"\{(\w+)\}", lambda found: "(?P<uuid>[^/]+)" if found[1] == "uuid" else "[^/]+", path)
    return re.compile(f"{parts}/?".encode())


_OPEN: Final = tuple(
    (method, _pattern(path), scope)
    for scope, routes in TENANTS.items()
    for method, _, path in (route.partition(" ") for route in routes)
)


def scope_of(method: str, raw_path: bytes, owner: str) -> Scope | None:
    """The scope that a key of the tenant `owner` needs for this request; None: no key of that tenant will do."""
    for its, pattern, scope in _OPEN:
        if its == ("GET" if method == "HEAD" else method) and (found := pattern.fullmatch(raw_path)):
            own = found.groupdict().get("uuid")
            return scope if own is None or own == owner.encode() else None
    return None
