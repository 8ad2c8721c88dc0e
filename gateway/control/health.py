"""`/healthz`, `/readyz` and `/metrics`: for load balancers and monitoring, without a key and without any tenant's id."""

from __future__ import annotations

from typing import Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from gateway.control import models
from gateway.control.errors import Rejected
from gateway.control.services import Wired
from gateway.http.forwarded import PROXIED

router: Final = APIRouter(tags=["health"])


class Healthy(BaseModel):
    """Yes."""

    status: Literal["OK"] = "OK"


@router.get("/healthz", summary="Is the process alive?")
async def alive() -> Healthy:
    """Answers while the process does."""
    return Healthy()


@router.get(
    "/readyz",
    summary="Would a call be served?",
    responses={503: {"model": models.Problem, "description": "Not now; `status` says what is not ready"}},
)
async def ready(services: Wired) -> Healthy:
    """Whether a call that arrives now is served."""
    missing = services.ready()
    if missing is not None:
        raise Rejected(503, missing, field="ready", retry_after=1)
    return Healthy()


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={
        404: {"model": models.Problem, "description": "Not through the stack's nginx"},
        200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
async def metrics(services: Wired, request: Request) -> Response:
    """Counters since the start and what is so now, of this gateway and of all runner hosts. Not through the stack's
    nginx: it would answer for another gateway each time, and to anybody."""
    if PROXIED in request.scope.get("extensions", {}):
        raise Rejected(404, "Metrics are told by each gateway itself: see docs/metrics.md.", field="path")
    # Imported by the first scrape: it costs a tenth of the platform's start.
    from gateway.control.exposition import MEDIA_TYPE, exposition

    return Response(exposition(services), media_type=MEDIA_TYPE)
