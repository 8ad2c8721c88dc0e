"""`/api/tenants/<uuid>/modules`: a tenant's modules, and how they come over the network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from catalogue.sealed import MEDIA_TYPE, CannotOpen
from catalogue.signatures import HEADER, BadSignature, Signature
from catalogue.unpacking import ZIP_BEGINS, BadUpload, TooLarge
from catalogue.uploads import Disabled, NoTenant, NotNow, TooMany
from catalogue.versions import NoVersion
from gateway.control import audit, models, modules
from gateway.control.answer import Answer
from gateway.control.errors import Rejected
from gateway.control.services import Services, Wired
from gateway.control.tenant_models import UploadedModule
from gateway.control.tenants import CONFLICT, Changeable, Named
from gateway.request import media_type
from settings import Settings

router: Final = APIRouter(tags=["tenants"])

SOURCE: Final = "text/x-python"
ZIP: Final = "application/zip"
MEDIA_TYPES: Final = (SOURCE, ZIP, "application/octet-stream", MEDIA_TYPE)
_BODY: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "Who signed the upload (docs/tenants.md); REQUIRE_SIGNED_MODULES says whether it has to be",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "description": "The source of the module, in UTF-8 and of MAX_SOURCE_BYTES at most, or its package in a zip "
        "archive (docs/tenants.md), of MAX_BUNDLE_BYTES at most and holding no more; or either of them sealed to the "
        "installation's key, of MAX_BUNDLE_BYTES at most as it is sent",
        "content": {
            name: {"schema": {"type": "string"} if name == SOURCE else {"type": "string", "format": "binary"}}
            for name in MEDIA_TYPES
        },
    },
}
_PROBLEMS: Final = CONFLICT | {
    413: {
        "model": models.Problem,
        "description": "A source is larger than MAX_SOURCE_BYTES, or a bundle than MAX_BUNDLE_BYTES",
    },
    415: {"model": models.Problem, "description": "The body is none of the media types"},
    429: {"model": models.Problem, "description": "Too many uploads of this tenant are under way"},
}
Name = Annotated[str, Path(description="Name of the module, without `.py`", examples=["hello"])]


@router.get("/tenants/{uuid}/modules", summary="List a tenant's modules")
async def list_tenant_modules(
    services: Wired, tenant: Named, query: Annotated[models.ModulesQuery, Query()]
) -> models.Modules:
    """Its modules by name, uploaded ones and those of plugin folders. Takes its own key too."""
    return modules.page(services.view(tenant.uuid), query)


@router.put(
    "/tenants/{uuid}/modules/{name}",
    summary="Upload a module",
    response_model=UploadedModule,
    responses=_PROBLEMS | {201: {"model": UploadedModule, "description": "There was no upload of this name"}},
    openapi_extra=_BODY,
)
async def upload_module(
    request: Request, services: Wired, tenant: Changeable, name: Name, _: Annotated[models.NoQuery, Query()]
) -> Answer:
    """Imports the source, or the package, in a runner of the tenant and, when that succeeds, has it serve in place of what had
    this name; else 422 says what is wrong and in which line, and what served before serves on. An upload
    wins over a file of the same name in a plugin folder. Takes the tenant's own key too."""
    kind = _checked_media_type(request)
    data = await _body(request, kind, services.settings)
    with refusals():
        if kind == MEDIA_TYPE:
            data = await services.installation_keys.open(tenant.uuid, name, data)
        signature = _signature(request)
        is_new = await services.catalogue.uploads.put(tenant.uuid, name, data, signature)
    signed = {"signed_by": signature.key} if signature is not None else {}
    await audit.record(request, "module uploaded", tenant=tenant.uuid, module=name, **signed)
    return Answer(uploaded(services, tenant.uuid, name).model_dump(), 201 if is_new else 200)


@router.delete(
    "/tenants/{uuid}/modules/{name}", summary="Remove an uploaded module", status_code=204, response_class=Response
)
async def remove_module(
    request: Request, services: Wired, tenant: Changeable, name: Name, _: Annotated[models.NoQuery, Query()]
) -> None:
    """Has an upload serve no more. A file of this name in a plugin folder then serves again. Takes the tenant's
    own key too."""
    with refusals():
        removed = await services.catalogue.uploads.remove(tenant.uuid, name)
    if not removed:
        raise Rejected(404, f"There is no uploaded module {name[:63]}.", field="name")
    await audit.record(request, "module removed", tenant=tenant.uuid, module=name)


def _checked_media_type(request: Request) -> str:
    given = request.headers.getlist("content-type")
    found = media_type.parse(given[0].encode("latin-1")) if len(given) == 1 else None
    kind, parameters = found if found is not None else (b"", {})
    charset = parameters.get(b"charset", b"utf-8").lower()
    name = kind.decode("latin-1")
    if name not in MEDIA_TYPES or charset not in (b"utf-8", b"us-ascii"):
        raise Rejected(415, f"A module comes as {' or '.join(MEDIA_TYPES)}, a source in UTF-8.", field="Content-Type")
    return name


async def _body(request: Request, kind: str, settings: Settings) -> bytes:
    setting = "MAX_SOURCE_BYTES" if kind == SOURCE else "MAX_BUNDLE_BYTES"
    most: int = getattr(settings, setting)
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > most:
            raise Rejected(413, f"This has at most {most} bytes ({setting}).", field="body")
    if kind == ZIP and not received.startswith(ZIP_BEGINS):
        raise Rejected(422, "This is no zip archive.", field="bundle")
    return bytes(received)


def _signature(request: Request) -> Signature | None:
    """The signature that came with an upload. Raises BadSignature."""
    given = request.headers.getlist(HEADER)
    return Signature.parse(", ".join(given)) if given else None


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Around what is asked of the uploads: what they refuse becomes an answer."""
    try:
        yield
    except TooLarge as error:
        raise Rejected(413, error.text, field=error.field) from error
    except BadUpload as error:
        where = f" (line {error.line})" if error.line and f"line {error.line}" not in error.text else ""
        raise Rejected(422, f"{error.text}{where}", field=error.field) from error
    except CannotOpen as error:
        raise Rejected(422, str(error), field="body") from error
    except BadSignature as error:
        raise Rejected(403, str(error), field=HEADER) from error
    except NoTenant as error:
        raise Rejected(404, str(error), field="uuid") from error
    except NoVersion as error:
        raise Rejected(404, str(error), field="version") from error
    except Disabled as error:
        raise Rejected(409, str(error), field="uuid") from error
    except TooMany as error:
        raise Rejected(429, str(error), field="name", retry_after=1) from error
    except NotNow as error:
        raise Rejected(503, str(error), field="name", retry_after=1) from error


def uploaded(services: Services, owner: str, name: str) -> UploadedModule:
    """A module as it serves now."""
    view = services.view(owner)
    module = view.modules.get(name)
    if module is None:  # removed again at the same moment
        raise Rejected(404, f"There is no module {name}.", field="name")
    shown = modules.shown_module(module)
    query = models.EndpointsQuery(module=name, limit=models.MAX_PAGE, cursor=None)
    exposes = modules.endpoints_page(view, query, f"{owner}/")
    return UploadedModule(**shown.model_dump(), exposes=exposes.endpoints)
