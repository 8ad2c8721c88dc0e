"""The measured function as FastAPI and arq take it: every request becomes a job, whose result it waits for.

Both sides look every 2 ms, the least that arq's documentation shows; by itself it looks twice a second.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Final

from arq import create_pool
from arq.connections import RedisSettings
from fastapi import FastAPI, Request

from benchmarks.plugins import measured

_POLL_SECS: Final = 0.002
_JOBS: Final = 64
"""Jobs at once: as many as there are connections at most."""
_KEPT_SECS: Final = 10


async def echo(_: dict[str, Any], a: str, b: str, c: int, d: int) -> dict[str, Any]:
    """The job."""
    return measured.echo(a, b, c, d)


class Worker:
    """What `python -m arq` runs."""

    functions: ClassVar = [echo]
    redis_settings = RedisSettings(host="127.0.0.1", port=int(os.environ["ARQ_REDIS_PORT"]))
    poll_delay = _POLL_SECS
    max_jobs = _JOBS
    keep_result = _KEPT_SECS


@contextlib.asynccontextmanager
async def _connected(app: FastAPI) -> AsyncIterator[None]:
    app.state.queue = await create_pool(Worker.redis_settings)
    yield
    await app.state.queue.aclose()


def app() -> FastAPI:
    """What uvicorn serves."""
    made = FastAPI(lifespan=_connected)

    @made.get("/echo")
    async def echo_route(request: Request, a: str, b: str, c: int, d: int) -> Any:
        job = await request.app.state.queue.enqueue_job("echo", a, b, c, d)
        return await job.result(timeout=10, poll_delay=_POLL_SECS)

    return made
