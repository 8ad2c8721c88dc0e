"""The one form of every error of the control plane: `{"status": "...", "errors": [{"field", "problem"}]}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from gateway.control.answer import Answer
from store.contract import StoreUnavailable

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Rejected(Exception):
    """The request is answered with this status, for this field."""

    def __init__(self, status: int, problem: str, *, field: str, retry_after: int | None = None) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.field = field
        self.headers = {"Retry-After": str(retry_after)} if retry_after else {}


def problem(status: int, summary: str, *, field: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that says what is wrong with one field."""
    return _problems(status, summary, [(field, summary)], headers)


def _problems(
    status: int, summary: str, problems: Sequence[tuple[str, str]], headers: Mapping[str, str] | None = None
) -> Answer:
    errors = [{"field": field, "problem": text} for field, text in problems]
    return Answer({"status": summary, "errors": errors}, status, headers)


async def _rejected(_: Request, error: Exception) -> Response:
    rejected = cast(Rejected, error)
    return problem(rejected.status, rejected.problem, field=rejected.field, headers=rejected.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    found = cast(RequestValidationError, error).errors()
    return _problems(422, "The request is not valid.", [_describe(one) for one in found])


def _describe(found: Mapping[str, Any]) -> tuple[str, str]:
    where = [str(part) for part in found["loc"]]
    if found["type"] == "json_invalid":
        return "body", f"is not JSON: {found['ctx']['error']} at character {where[-1]}"
    return ".".join(where[1:]) or where[0], found["msg"]


async def _http(request: Request, error: Exception) -> Response:
    raised = cast(HTTPException, error)
    if raised.status_code == 404:
        return problem(404, "There is nothing at this path.", field="path")
    if raised.status_code == 405:
        allow = ", ".join(_allowed(request))
        return problem(405, f"This path takes {allow}.", field="method", headers={"Allow": allow})
    return problem(raised.status_code, f"The body cannot be read: {raised.detail}.", field="body")


def _allowed(request: Request) -> list[str]:
    """Methods of all routes at this path; a GET route answers HEAD too."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method.replace("HEAD", "GET")})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def store_away(error: StoreUnavailable) -> Answer:
    """The answer while nothing can be read or written."""
    return problem(503, f"The store is not available: {error}", field="store", headers={"Retry-After": "1"})


async def _store_away(_: Request, error: Exception) -> Response:
    return store_away(cast(StoreUnavailable, error))


async def _defect(_: Request, __: Exception) -> Response:
    return problem(500, "The request failed; the platform's log says why.", field="request")


def install(app: FastAPI) -> None:
    """Registers the form for everything that routes can raise."""
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StoreUnavailable, _store_away)
    app.add_exception_handler(Exception, _defect)
