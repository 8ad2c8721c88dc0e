"""`/api/modules` and `/api/endpoints`: what the admin has, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from catalogue import report
from catalogue.view import ModuleView, Problem, View
from gateway.control import models
from gateway.control.errors import Rejected
from gateway.control.services import Wired

router: Final = APIRouter(tags=["modules"])

Key = tuple[str, str, str]
"""Place of an endpoint in the list: module, API, first method."""


@router.get("/modules", summary="List the modules")
async def list_modules(services: Wired, query: Annotated[models.ModulesQuery, Query()]) -> models.Modules:
    """All modules by name: those that serve, and those that never could, with the reason."""
    found = _by_name(services.view())
    names = sorted(name for name in found if query.cursor is None or name > query.cursor)
    page = names[: query.limit]
    return models.Modules(
        modules=[models.Module.model_validate(found[name]) for name in page],
        next=page[-1] if len(names) > query.limit else None,
    )


@router.get("/modules/{name}", summary="See one module")
async def see_module(
    services: Wired,
    name: Annotated[str, Path(description="Its name, not its alias", examples=["hello"])],
    _: Annotated[models.NoQuery, Query()],
) -> models.ModuleDetail:
    """One module with its documentation."""
    found = _by_name(services.view()).get(name)
    if found is None:
        raise Rejected(404, f"There is no module {name}.", field="name")
    return found


@router.get("/endpoints", summary="List the endpoints")
async def list_endpoints(services: Wired, query: Annotated[models.EndpointsQuery, Query()]) -> models.Endpoints:
    """All exposed functions, by module and API."""
    modules = services.view().modules
    if query.module is not None and query.module not in modules:
        raise Rejected(404, f"There is no module {query.module}.", field="module")
    shown = modules.values() if query.module is None else [modules[query.module]]
    after = tuple(query.cursor.split("/")) if query.cursor else ("", "", "")
    page: list[models.Endpoint] = []
    last: Key | None = None
    for key, endpoint in _endpoints(sorted(shown, key=lambda module: module.name)):
        if key <= after:
            continue
        if len(page) == query.limit and last is not None:
            return models.Endpoints(endpoints=page, next="/".join(last))
        page.append(_shown_endpoint(key[0], endpoint))
        last = key
    return models.Endpoints(endpoints=page, next=None)


def _endpoints(modules: list[ModuleView]) -> Iterator[tuple[Key, report.Endpoint]]:
    for module in modules:
        keyed = [((module.name, one.api, one.methods[0]), one) for one in module.report.endpoints]
        yield from sorted(keyed, key=lambda pair: pair[0])


def _shown_endpoint(module: str, endpoint: report.Endpoint) -> models.Endpoint:
    return models.Endpoint(
        module=module,
        api=endpoint.api,
        methods=list(endpoint.methods),
        path=f"/rest/services/{module}/{endpoint.api}/",
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
    return failed | {module.name: _shown_module(module) for module in view.modules.values()}


def _shown_module(module: ModuleView) -> models.ModuleDetail:
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
