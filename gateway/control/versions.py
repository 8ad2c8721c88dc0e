"""`/api/tenants/<uuid>/modules/<name>/versions`: what was uploaded before, and how it serves again."""

from __future__ import annotations

import asyncio
import io
import zipfile
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from gateway.control import audit
from gateway.control import version_models as models
from gateway.control.models import NoQuery
from gateway.control.services import Wired
from gateway.control.tenant_models import UploadedModule
from gateway.control.tenants import CONFLICT, Changeable, Named
from gateway.control.uploads import SOURCE, ZIP, Name, refusals, uploaded

router: Final = APIRouter(tags=["tenants"])

_FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Its source, or its package in a zip archive",
        "content": {SOURCE: {"schema": {"type": "string"}}, ZIP: {"schema": {"type": "string", "format": "binary"}}},
    }
}
Number = Annotated[int, Path(ge=1, le=2**53, description="Number of the version", examples=[3])]


@router.get("/tenants/{uuid}/modules/{name}/versions", summary="List the versions of a module")
async def list_versions(services: Wired, tenant: Named, name: Name, _: Annotated[NoQuery, Query()]) -> models.Versions:
    """The uploads of this name that are kept, MAX_MODULE_VERSIONS at most. Takes the tenant's own key too."""
    with refusals():
        module = await services.catalogue.uploads.versions(tenant.uuid, name)
    return models.Versions(
        versions=[
            models.Version(
                number=one.number,
                digest=one.digest,
                created=one.created,
                signed_by=one.signed_by,
                serves=one.number == module.version,
            )
            for one in module.versions
        ]
    )


@router.get(
    "/tenants/{uuid}/modules/{name}/versions/{number}",
    summary="Get a version of a module",
    response_class=Response,
    responses=_FILES,
)
async def get_version(
    services: Wired, tenant: Named, name: Name, number: Number, _: Annotated[NoQuery, Query()]
) -> Response:
    """What was uploaded: the source as it was, or the files of the package in a zip archive. Takes the tenant's own
    key too."""
    with refusals():
        files = await services.catalogue.uploads.content(tenant.uuid, name, number)
    source = files.get(f"{name}.py")
    if source is not None:
        return _attached(source, SOURCE, f"{name}.py")
    return _attached(await asyncio.to_thread(_zipped, files), ZIP, f"{name}.zip")


@router.post("/tenants/{uuid}/modules/{name}/rollback", summary="Have a version serve again", responses=CONFLICT)
async def roll_back(
    request: Request,
    services: Wired,
    tenant: Changeable,
    name: Name,
    wanted: models.Rollback,
    _: Annotated[NoQuery, Query()],
) -> UploadedModule:
    """Imports a version that is kept in a runner of the tenant and, when that succeeds, has it serve in place of the
    one that does; no call fails meanwhile. Takes the tenant's own key too."""
    with refusals():
        await services.catalogue.uploads.activate(tenant.uuid, name, wanted.version)
    await audit.record(request, "module rolled back", tenant=tenant.uuid, module=name, version=str(wanted.version))
    return uploaded(services, tenant.uuid, name)


def _attached(content: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Type": media_type, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers)


def _zipped(files: dict[str, bytes]) -> bytes:
    """These files in a zip archive, which always is the same for the same files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as writing:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o644 << 16
            writing.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return made.getvalue()
