"""What people read in a browser: the start page, the API documents, the README. Everything is served from here."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from gateway.control.errors import Rejected
from gateway.control.models import NoQuery, Slug
from gateway.control.services import Wired
from gateway.page import TEMPLATES, Page
from settings import ROOT

router: Final = APIRouter(include_in_schema=False)

OWN: Final = {"page.css": "text/css", "docs.js": "text/javascript", "icon.svg": "image/svg+xml"}
"""Files of the templates folder that browsers may ask for."""
SWAGGER: Final = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
"""Files of Swagger UI that its page needs."""
CACHED: Final = {"cache-control": "max-age=3600"}

_AUTHORITY: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class StartPageQuery(NoQuery):
    """What the start page shows."""

    module: Slug | None = None


@router.get("/")
async def start_page(request: Request, services: Wired, query: Annotated[StartPageQuery, Query()]) -> Response:
    """What runs here, for a person."""
    page: Page = request.app.state.page
    host = request.headers.get("host", "")
    here = host if _AUTHORITY.fullmatch(host) else f"localhost:{services.settings.GATEWAY_PORT}"
    html = page.html(services.view(services.admin), f"{request.url.scheme}://{here}", query.module)
    if html is None:
        raise Rejected(404, f"There is no module {query.module}.", field="module")
    return HTMLResponse(html)


@router.get("/docs")
async def documents() -> Response:
    """Swagger UI over `/openapi.json`."""
    return FileResponse(TEMPLATES / "docs.html", media_type="text/html")


@router.get("/assets/{name}")
async def asset(name: Annotated[str, Path()]) -> Response:
    """A style sheet, script or picture; names are looked up, never opened as given."""
    if name in OWN:
        return FileResponse(TEMPLATES / name, media_type=OWN[name], headers=CACHED)
    if name in SWAGGER:
        from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

        return FileResponse(swagger_ui_path / name, media_type=SWAGGER[name], headers=CACHED)
    raise Rejected(404, "There is nothing at this path.", field="path")


@router.get("/readme")
async def readme() -> Response:
    """The README as it is in the repository."""
    file = ROOT / "README.md"
    if not file.is_file():
        raise Rejected(404, "This installation has no README.md.", field="path")
    return FileResponse(file, media_type="text/plain")
