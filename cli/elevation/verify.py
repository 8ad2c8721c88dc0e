"""Whether a new installation has all that its tenant had here, and answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from cli.elevation import service
from cli.elevation.state import Elevation
from cli.problem import Problem
from cli.server import Server

VERIFY_SECS: Final = 60.0
"""How long the new installation may take to take up what it was given."""
_LOOK_SECS: Final = 0.25


def verify(elevation: Elevation, old: Server) -> None:
    """Raises Problem with what is missing or another, or when a call is not answered."""
    new = service.server(elevation)
    wanted = _holdings(old, elevation.uuid)
    until = time.monotonic() + VERIFY_SECS
    while differing := _differing(wanted, _holdings(new, elevation.uuid)):
        if time.monotonic() > until:
            raise Problem(f"The new installation does not have the same: {', '.join(differing)}")
        time.sleep(_LOOK_SECS)
    # What takes tokens takes none in its first seconds.
    path = _path_of_a_call(elevation, new, has_keys=any(name.startswith("token key ") for name in wanted))
    while not (answer := new.send("GET", path)).is_success:
        if time.monotonic() > until:
            raise Problem(f"The new installation answers {answer.status_code} to {path}")
        time.sleep(_LOOK_SECS)


def _holdings(server: Server, uuid: str) -> dict[str, Any]:
    """What the owner has, by what it is called for people."""
    base = f"/api/tenants/{uuid}"
    found: dict[str, Any] = {}
    for module in _modules(server, base):
        name = module["name"]
        found[f"module {name}"] = module["digest"], module["alias"], module["endpoints"]
        if module["source"] == "upload":
            versions = server.control("GET", f"{base}/modules/{name}/versions")["versions"]
            found[f"versions of {name}"] = versions
    for one in server.control("GET", f"{base}/environ")["variables"]:
        found[f"variable {one['name']} {one['module'] or ''}".rstrip()] = one
    for what, path in (("token key", "token-keys"), ("signing key", "signing-keys"), ("API key", "api-keys")):
        found |= {f"{what} {one['id']}": one for one in server.control("GET", f"{base}/{path}")["keys"]}
    return found


def _modules(server: Server, base: str) -> Iterator[Any]:
    """Those that serve."""
    cursor: str | None = ""
    while cursor is not None:
        page = server.control("GET", f"{base}/modules", params={"limit": 500} | ({"cursor": cursor} if cursor else {}))
        yield from (module for module in page["modules"] if module["digest"])
        cursor = page["next"]


def _differing(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What is not the same. An admin may have more than the tenant had."""
    return [name for name, value in wanted.items() if found.get(name) != value]


def _path_of_a_call(elevation: Elevation, new: Server, *, has_keys: bool) -> str:
    """Of one that runs nothing of the tenant's: what functions do is not known here."""
    settings = {one["name"]: one["value"] for one in new.control("GET", "/api/settings")["settings"]}
    takes_people = elevation.installation().values.get("REQUIRE_SIGN_IN", "none") != "none"
    if takes_people or (settings["REQUIRE_TOKENS"] == "all" and not has_keys):
        return "/readyz"  # nobody here can make a call
    return f"/rest/services/{elevation.uuid}/__dir__/"
