"""The control plane's application: what operators change under `/api`, and what everybody may see."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from gateway.control import (
    api_keys,
    call_logs,
    documents,
    elevation,
    environ,
    errors,
    health,
    installation_key,
    modules,
    openapi,
    pools,
    run_time,
    signing_keys,
    tenants,
    token_keys,
    trail,
    uploads,
    usage,
    versions,
)
from gateway.control.answer import Answer
from gateway.control.guard import MAX_BODY, Guard
from gateway.control.keys import Keys
from gateway.control.models import Problem
from gateway.control.services import Services
from gateway.page import Page

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        401: "The key is missing or wrong",
        403: "The key is a tenant's or a further admin's, and this is not its own, or takes a scope that the key has not",
        404: "What is named does not exist",
        422: "The request is not valid; `errors` names each field",
        503: "Not now: see `Retry-After`",
    }.items()
}


class _Control(FastAPI):
    """FastAPI with the platform's own OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.document(self)
        return self.openapi_schema


def routes_alone() -> FastAPI:
    """The application without anything behind it: all of its routes, none of which would work."""
    app = _Control(
        title="Plugbay",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=Answer,
        generate_unique_id_function=lambda route: route.name,
    )
    errors.install(app)
    for router in (
        modules.router,
        tenants.router,
        elevation.router,
        versions.router,
        signing_keys.router,
        installation_key.router,
        api_keys.router,
        token_keys.router,
        environ.router,
        usage.router,
        pools.router,
        run_time.router,
        call_logs.router,
        trail.router,
    ):
        app.include_router(router, prefix="/api", responses=_PROBLEMS, max_body_size=MAX_BODY)
    app.include_router(uploads.router, prefix="/api", responses=_PROBLEMS)  # its bodies have a bound of their own
    app.include_router(health.router)
    app.include_router(documents.router)
    return app


def create_control(services: Services) -> FastAPI:
    """The ASGI application for every path that is not the data plane's."""
    app = routes_alone()
    app.state.services = services
    app.state.page = Page()
    keys = Keys(services.admin, services.settings.ADMIN_KEY, services.store)
    app.add_middleware(Guard, keys=keys, max_upload=services.settings.MAX_BUNDLE_BYTES)
    return app
