"""The start page: what runs here, module by module, for a person. One template, no scripts."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from catalogue.report import Endpoint
from catalogue.view import ModuleView, View
from gateway.example_call import example_call

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES: Final = Path(__file__).parent / "templates"

MAX_MODULES: Final = 200
MAX_ENDPOINTS: Final = 1000
"""What one page shows at most: more would be no reading, and megabytes."""
MAX_NOTES: Final = 100
"""Problems and skipped files shown at most."""
MAX_KEPT: Final = 32
"""Pages kept rendered until the modules change."""

_ORIGIN: Final = "http://origin.invalid"
"""Stands in a rendered page for the address that a browser reached it at."""


class ShownEndpoint(msgspec.Struct, frozen=True):
    """One endpoint as the page shows it."""

    endpoint: Endpoint
    path: str
    command: str
    """A line for a shell that calls it."""


class ShownModule(msgspec.Struct, frozen=True):
    """One module as the page shows it."""

    module: ModuleView
    endpoints: list[ShownEndpoint]
    hidden: int
    """Endpoints that found no room."""


class Page:
    """The page, rendered once per change of the modules."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._rendered: dict[str | None, str] = {}

    @cached_property
    def _template(self) -> Template:
        # Imported by the first visitor: no start of the platform needs it.
        from jinja2 import Environment, FileSystemLoader

        environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        return environment.get_template("page.html")

    def html(self, view: View, origin: str, module: str | None = None) -> str | None:
        """The page for a browser that came to `origin`, of all modules or of the one of this name.
        None when there is no such module. `origin` must be harmless in HTML and shell."""
        if module is not None and module not in view.modules:
            return None
        if view is not self._view:
            self._view = view
            self._rendered.clear()
        if module not in self._rendered:
            if len(self._rendered) >= MAX_KEPT:
                self._rendered.clear()
            self._rendered[module] = self._render(view, module)
        return self._rendered[module].replace(_ORIGIN, origin)

    def _render(self, view: View, name: str | None) -> str:
        modules = sorted(view.modules.values(), key=lambda module: module.name)
        shown = _shown(modules if name is None else [view.modules[name]])
        visible = {row.module.name for row in shown}
        problems = [module.problem for module in modules if module.problem is not None]
        problems += view.problems
        return self._template.render(
            name=name,
            shown=shown,
            hidden=0 if name else len(modules) - len(shown),
            serving=sum(not module.broken for module in modules),
            endpoints=sum(len(module.report.endpoints) for module in modules),
            problems=problems,
            elsewhere=[problem for problem in problems if problem.module not in visible],
            visible=visible,
            skipped=view.skipped,
            notes=MAX_NOTES,
            origin=_ORIGIN,
        )


def _shown(modules: list[ModuleView]) -> list[ShownModule]:
    rows: list[ShownModule] = []
    room = MAX_ENDPOINTS
    for module in modules[:MAX_MODULES]:
        if not room:
            break
        endpoints = sorted(module.report.endpoints, key=lambda one: (one.api, one.methods))[:room]
        room -= len(endpoints)
        hidden = len(module.report.endpoints) - len(endpoints)
        rows.append(ShownModule(module, [_shown_endpoint(module.name, one) for one in endpoints], hidden))
    return rows


def _shown_endpoint(module: str, endpoint: Endpoint) -> ShownEndpoint:
    path = f"/rest/services/{module}/{endpoint.api}/"
    return ShownEndpoint(endpoint, path, example_call(endpoint, _ORIGIN + path))
