"""What the person who started the platform reads first."""

from __future__ import annotations

from typing import Any

from catalogue.view import View
from settings import Settings


def banner(settings: Settings, address: tuple[Any, ...], view: View | None) -> str:
    """Where the platform listens, who its admin is, and one line to try."""
    host = address[0] if address[0] not in ("0.0.0.0", "::") else "127.0.0.1"  # shown, not bound
    origin = f"http://{f'[{host}]' if ':' in host else host}:{address[1]}"
    modules = len(view.modules) if view else 0
    lines = [
        f"Plugbay is ready at {origin}",
        f"  admin    {settings.ADMIN_UUID}  (its key: ./plugbay key)",
        *(f"  plugins  {folder}" for folder in settings.PLUGINS),
        f"  serving  {modules} modules, listed at {origin}/",
        f"  try      curl {origin}{_example(view)}",
    ]
    return "\n".join(lines)


def _example(view: View | None) -> str:
    """A path that answers GET without arguments, if any does; the directory otherwise."""
    endpoints = [
        (module, endpoint)
        for module in (view.modules.values() if view else ())
        for endpoint in module.report.endpoints
        if "GET" in endpoint.methods and not any(parameter.required for parameter in endpoint.parameters)
    ]
    if not endpoints:
        return "/rest/services/__dir__/"
    module, endpoint = min(endpoints, key=lambda one: (one[0].name != "hello", one[0].name))
    return f"/rest/services/{module.name}/{endpoint.api}/"
