"""`/api/pools`, `/api/runners` and `/api/hosts`: seeing, scaling and draining what runs calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request

from calls.pools import ADMIN, PREWARMED, PoolStatus, PoolsUnavailable, UnknownHost, UnknownPool, UnknownRunner
from gateway.control import audit, models
from gateway.control.errors import Rejected
from gateway.control.services import Wired

router: Final = APIRouter(tags=["pools"])

PoolName = Annotated[
    str,
    Path(
        alias="name", description="`admin`, `prewarmed`, or the UUID of the tenant or further admin", examples=["admin"]
    ),
]
RunnerId = Annotated[str, Path(alias="id", description="`id` of the runner", examples=["5f0c9a1b2d3e4f60"])]
HostName = Annotated[str, Path(alias="name", description="`name` of the host", examples=["plugbay"])]
NoQuery = Annotated[models.NoQuery, Query()]


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What PoolControl raises, as answers."""
    try:
        yield
    except UnknownPool as error:
        raise Rejected(404, f"There is no pool {error}.", field="name") from error
    except UnknownRunner as error:
        raise Rejected(404, f"There is no runner {error}.", field="id") from error
    except UnknownHost as error:
        raise Rejected(404, f"There is no runner host {error}.", field="name") from error
    except ValueError as error:
        raise Rejected(422, str(error), field="size") from error
    except PoolsUnavailable as error:
        raise Rejected(503, str(error), field="name", retry_after=1) from error


@router.get("/pools", summary="See the pools")
async def list_pools(services: Wired, _: NoQuery) -> models.Pools:
    """All pools with their runners, and the hosts, as they are now."""
    return models.Pools(
        pools=[models.Pool.model_validate(pool) for pool in services.pools.pools()],
        hosts=[models.Host.model_validate(host) for host in services.pools.hosts()],
    )


@router.put("/pools/{name}", summary="Scale a pool")
async def scale_pool(
    request: Request, services: Wired, name: PoolName, wanted: models.PoolSize, _: NoQuery
) -> models.Pool:
    """Sets how many runners the pool is to have, shared by its hosts. Answers when they are there, or finish
    their last calls."""
    with _refusals():
        pool = await services.pools.scale(name, wanted.size)
    await audit.record(request, "pool scaled", tenant=_tenant(pool), pool=pool.name, size=str(wanted.size))
    return models.Pool.model_validate(pool)


@router.post("/pools/{name}/drain", summary="Drain a pool")
async def drain_pool(request: Request, services: Wired, name: PoolName, _: NoQuery) -> models.Pool:
    """Every runner of the pool finishes its calls and ends. Admins' and the prewarmed ones are replaced, one
    after another; a tenant's next call gets another runner. No call is lost."""
    with _refusals():
        pool = await services.pools.drain_pool(name)
    await audit.record(request, "pool drained", tenant=_tenant(pool), pool=pool.name)
    return models.Pool.model_validate(pool)


@router.post("/runners/{id}/drain", summary="Drain a runner")
async def drain_runner(request: Request, services: Wired, runner: RunnerId, _: NoQuery) -> models.Pool:
    """The runner finishes its calls and ends, and is replaced where its pool wants one. Answers with its pool."""
    with _refusals():
        pool = await services.pools.drain_runner(runner)
    await audit.record(request, "runner drained", tenant=_tenant(pool), pool=pool.name, runner=runner)
    return models.Pool.model_validate(pool)


@router.post("/hosts/{name}/drain", summary="Drain a runner host")
async def drain_host(request: Request, services: Wired, name: HostName, _: NoQuery) -> models.Host:
    """The host finishes its calls; new ones go to the other hosts, and are refused (503) where there is none.
    Holds until it is undone or the host is restarted."""
    with _refusals():
        host = await services.pools.drain_host(name, draining=True)
    await audit.record(request, "host drained", host=host.name)
    return models.Host.model_validate(host)


@router.delete("/hosts/{name}/drain", summary="Have a runner host take calls again")
async def resume_host(request: Request, services: Wired, name: HostName, _: NoQuery) -> models.Host:
    """Undoes the drain of a host."""
    with _refusals():
        host = await services.pools.drain_host(name, draining=False)
    await audit.record(request, "host resumed", host=host.name)
    return models.Host.model_validate(host)


def _tenant(pool: PoolStatus) -> str:
    """UUID of the tenant or further admin whose pool this is; empty for those of nobody else than the admin."""
    return "" if pool.name in (ADMIN, PREWARMED) else pool.name
