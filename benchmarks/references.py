"""The functions of `plugins/measured.py` in one process with the web server: what Plugbay is compared with."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import Body, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.plugins.measured import echo, large

_encode: Final = msgspec.json.Encoder().encode


def fastapi_def() -> FastAPI:
    """The reference: plain `def` functions, which FastAPI runs in its thread pool."""
    app = FastAPI()
    app.get("/echo")(echo)

    @app.post("/large")
    def large_route(items: Annotated[list[dict[str, Any]], Body(embed=True)]) -> dict[str, Any]:
        return large(items)

    return app


def fastapi_async() -> FastAPI:
    """The same as a coroutine function, on the event loop itself."""
    app = FastAPI()

    @app.get("/echo")
    async def echo_route(a: str, b: str, c: int, d: int) -> dict[str, Any]:
        return echo(a, b, c, d)

    return app


def bare_starlette() -> Starlette:
    """The least that parses the query and writes JSON: the limit of one gateway process."""

    async def echo_route(request: Request) -> Response:
        query = request.query_params
        value = echo(query["a"], query["b"], int(query["c"]), int(query["d"]))
        return Response(_encode(value), media_type="application/json")

    return Starlette(routes=[Route("/echo", echo_route)])
