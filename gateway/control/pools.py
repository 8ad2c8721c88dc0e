"""`/api/pools`: seeing and scaling the pools of runners."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from calls.pools import PoolsUnavailable, UnknownPool
from gateway.control import models
from gateway.control.errors import Rejected
from gateway.control.services import Wired

router: Final = APIRouter(tags=["pools"])


@router.get("/pools", summary="See the pools")
async def list_pools(services: Wired, _: Annotated[models.NoQuery, Query()]) -> models.Pools:
    """All pools with their runners, as they are now."""
    return models.Pools(pools=[models.Pool.model_validate(pool) for pool in services.pools.pools()])


@router.put("/pools/{name}", summary="Scale a pool")
async def scale_pool(
    services: Wired,
    name: Annotated[str, Path(description="`admin`, or the UUID of the tenant", examples=["admin"])],
    wanted: models.PoolSize,
    _: Annotated[models.NoQuery, Query()],
) -> models.Pool:
    """Sets how many runners the pool is to have. Answers when they are there, or finish their last calls."""
    most = services.settings.MAX_RUNNERS
    if wanted.size > most:
        raise Rejected(422, f"A pool has at most {most} runners (MAX_RUNNERS).", field="size")
    try:
        pool = await services.pools.scale(name, wanted.size)
    except UnknownPool as error:
        raise Rejected(404, f"There is no pool {name}.", field="name") from error
    except ValueError as error:
        raise Rejected(422, str(error), field="size") from error
    except PoolsUnavailable as error:
        raise Rejected(503, str(error), field="name", retry_after=1) from error
    return models.Pool.model_validate(pool)
