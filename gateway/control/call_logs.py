"""`/api/logs`: what functions printed, by page or as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.control import models
from gateway.control.answer import encode
from gateway.control.errors import Rejected
from gateway.control.keys import NOT_ITS_OWN, Principal
from gateway.control.services import Services, Still, Who, Wired
from gateway.control.tenants import unknown
from gateway.logs import Follower, TooManyFollowers
from store.contract import StoreUnavailable

router: Final = APIRouter(tags=["logs"])

MEDIA_TYPE: Final = "application/x-ndjson"
STREAM: Final[dict[str, Any]] = {
    "description": "One page; with `follow`, a stream of `LogRecord`, one line of JSON each",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/LogRecord"}}},
}


class FollowResponse(StreamingResponse):
    """The log as it grows, as long as `still` says so. Whatever ends the answer, the log forgets its reader."""

    def __init__(self, follower: Follower, still: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(_lines(follower, still), media_type=MEDIA_TYPE)
        self._follower = follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._follower.close()


async def _lines(follower: Follower, still: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
    async for record, missed in follower:
        if not await still():
            return
        shown = models.LogRecord.model_validate(record)
        shown.missed = missed
        yield encode(shown.model_dump()) + b"\n"


@router.get("/logs", summary="Read what functions printed", response_model=models.LogRecords, responses={200: STREAM})
async def read_logs(
    services: Wired, who: Who, still: Still, query: Annotated[models.LogsQuery, Query()]
) -> models.LogRecords | FollowResponse:
    """Records of calls that printed something or failed, the newest first. What is kept is bounded by
    LOGS_KEPT_BYTES, the oldest going first, and does not outlive the process. A tenant's key shows its own, an admin's
    its tenants' too; what follows ends instead of showing another record once the key is no longer good for it."""
    owner = query.tenant or who.owner
    if not await _reads(services, who, owner):
        raise unknown(owner) if who.admin else Rejected(403, NOT_ITS_OWN, field="tenant")
    if query.follow:

        async def still_reads() -> bool:
            try:
                return await still() and await _reads(services, who, owner)
            except StoreUnavailable:
                return False

        return _follow(services, who, owner, still_reads, query)
    found = services.logs.select(owner, query.module, query.call, query.limit + 1, query.cursor)
    page = found[: query.limit]
    return models.LogRecords(
        records=[models.LogRecord.model_validate(record) for record in page],
        next=page[-1].number if len(found) > query.limit else None,
    )


async def _reads(services: Services, who: Principal, owner: str) -> bool:
    """Whether somebody may read what this owner's functions printed. Raises StoreUnavailable."""
    if owner == who.owner:
        return True
    tenant = await services.store.tenant(owner) if who.admin or who.further else None
    return tenant is not None and who.rules(tenant)


def _follow(
    services: Services, who: Principal, owner: str, still: Callable[[], Awaitable[bool]], query: models.LogsQuery
) -> FollowResponse:
    for field in ("call", "cursor"):
        if getattr(query, field) is not None:
            raise Rejected(422, f"{field} names what was, follow waits for what comes: give one of them.", field=field)
    try:
        follower = services.logs.follow(owner, query.module, query.limit, tenant=not who.admin)
    except TooManyFollowers as error:
        raise Rejected(503, f"{error}.", field="follow", retry_after=10) from error
    return FollowResponse(follower, still)
