"""`/api/modules` and `/api/endpoints`: what whoever asks has, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from catalogue import report
from catalogue.view import ModuleView, Problem, View
from gateway.control import models
from gateway.control.errors import Rejected
from gateway.control.services import Who, Wired

router: Final = APIRouter(tags=["modules"])

Key = tuple[str, str, str]
"""Place of an endpoint in the list: module, API, first method."""


@router.get("/modules", summary="List the modules")
async def list_modules(services: Wired, who: Who, query: Annotated[models.ModulesQuery, Query()]) -> models.Modules:
    """All modules by name: those that serve, and those that never could, with the reason. A tenant's key shows its own."""
    return page(services.view(who.owner), query)


@router.get("/modules/{name}", summary="See one module")
async def see_module(
    services: Wired,
    who: Who,
    name: Annotated[str, Path(description="Its name, not its alias", examples=["hello"])],
    _: Annotated[models.NoQuery, Query()],
) -> models.ModuleDetail:
    """One module with its documentation."""
    found = _by_name(services.view(who.owner)).get(name)
    if found is None:
        raise Rejected(404, f"There is no module {name}.", field="name")
    return found


@router.get("/endpoints", summary="List the endpoints")
async def list_endpoints(
    services: Wired, who: Who, query: Annotated[models.EndpointsQuery, Query()]
) -> models.Endpoints:
    """All exposed functions, by module and API. A tenant's key shows its own."""
    view = services.view(who.owner)
    if query.module is not None and query.module not in view.modules:
        raise Rejected(404, f"There is no module {query.module}.", field="module")
    return endpoints_page(view, query, "" if who.admin else f"{who.owner}/")


def page(view: View, query: models.ModulesQuery) -> models.Modules:
    """One page of an owner's modules."""
    found = _by_name(view)
    names = sorted(name for name in found if query.cursor is None or name > query.cursor)
    shown = names[: query.limit]
    return models.Modules(
        modules=[models.Module.model_validate(found[name]) for name in shown],
        next=shown[-1] if len(names) > query.limit else None,
    )


def endpoints_page(view: View, query: models.EndpointsQuery, prefix: str) -> models.Endpoints:
    """One page of an owner's endpoints; `prefix` stands before the module in their paths."""
    modules = view.modules
    shown = modules.values() if query.module is None else [modules[query.module]]
    after = tuple(query.cursor.split("/")) if query.cursor else ("", "", "")
    found: list[models.Endpoint] = []
    last: Key | None = None
    for key, endpoint in _endpoints(sorted(shown, key=lambda module: module.name)):
        if key <= after:
            continue
        if len(found) == query.limit and last is not None:
            return models.Endpoints(endpoints=found, next="/".join(last))
        found.append(_shown_endpoint(prefix + key[0], key[0], endpoint))
        last = key
    return models.Endpoints(endpoints=found, next=None)


def _endpoints(modules: list[ModuleView]) -> Iterator[tuple[Key, report.Endpoint]]:
    for module in modules:
        keyed = [((module.name, one.api, one.methods[0]), one) for one in module.report.endpoints]
        yield from sorted(keyed, key=lambda pair: pair[0])


def _shown_endpoint(place: str, module: str, endpoint: report.Endpoint) -> models.Endpoint:
    return models.Endpoint(
        module=module,
        api=endpoint.api,
        methods=list(endpoint.methods),
        path=f"/rest/services/{place}/{endpoint.api}/",
        function=endpoint.function,
        doc=endpoint.doc,
        concurrent=endpoint.concurrent,
        timeout=endpoint.timeout,
        concurrency=endpoint.concurrency,
        parameters=[models.Parameter.model_validate(parameter) for parameter in endpoint.parameters],
    )


def _by_name(view: View) -> dict[str, models.ModuleDetail]:
    """Every module of the view, and everything else that should have become one."""
    failed = {problem.module: _failed(problem) for problem in view.problems}
    return failed | {module.name: shown_module(module) for module in view.modules.values()}


def shown_module(module: ModuleView) -> models.ModuleDetail:
    """One module that serves, or that never could."""
    return models.ModuleDetail(
        name=module.name,
        alias=module.alias,
        digest=module.digest or None,
        source=module.source,
        endpoints=len(module.report.endpoints),
        problem=models.ModuleProblem.model_validate(module.problem) if module.problem else None,
        doc=module.report.doc,
        functions=list(module.report.functions),
        imports=list(module.report.imports),
    )


def _failed(problem: Problem) -> models.ModuleDetail:
    return models.ModuleDetail(
        name=problem.module,
        alias=None,
        digest=None,
        source="",
        endpoints=0,
        problem=models.ModuleProblem.model_validate(problem),
        doc="",
        functions=[],
        imports=[],
    )
