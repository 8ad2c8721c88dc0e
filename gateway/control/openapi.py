"""The OpenAPI document of the platform: the control plane's from its routes, the data plane's by hand.

`python -m gateway.control` prints it; `docs/openapi.json` is that output.
"""

from __future__ import annotations

import tomllib
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from settings import ROOT

VERSION: Final = "3.0.3"
"""Of OpenAPI: the Swagger UI that is served reads nothing newer."""

DESCRIPTION: Final = """\
Plugbay turns Python functions into REST endpoints and runs them in processes of their own.

* **Data plane**, `/rest/services/…`: calls your functions. Which there are, `/rest/services/__dir__/` says.
* **Control plane**, `/api/…`: shows and changes what runs. Takes `Authorization: Bearer` with the admin's
  key (`ADMIN_KEY` in `.env.local`), or with a tenant's for what is its own. An API key opens what its scopes say.

Every error of the control plane is `{"status": "…", "errors": [{"field": "…", "problem": "…"}]}`.
"""

TAGS: Final = [
    {"name": "calls", "description": "The data plane"},
    {"name": "modules", "description": "What is plugged in, and what is wrong with it"},
    {"name": "tenants", "description": "Who there is besides the admin, and the modules they upload"},
    {"name": "pools", "description": "The processes that run calls"},
    {"name": "settings", "description": "What may change while the platform runs"},
    {"name": "logs", "description": "What functions printed"},
    {"name": "audit", "description": "Who changed what, when and from where"},
    {"name": "health", "description": "For load balancers and monitoring; no key"},
]

_PATH_PARAMETER: Final = {
    "name": "path",
    "in": "path",
    "required": True,
    "description": (
        "`[<uuid>/][<module or alias>/]<api>/[<p1>/…/<pn>/]`: the owner (absent: the admin), the module (absent: "
        "whichever has the API), the API, and URL parameters, which arrive as `parm_1`, `parm_2`, …"
    ),
    "schema": {"type": "string"},
    "example": "hello/hello-world",
}
_ARGUMENTS: Final = {
    "description": "Keyword arguments of the function; a JSON value that is no object, or anything else, arrives as `__body__`",
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": {"name": "World"}},
        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
        "multipart/form-data": {"schema": {"type": "object"}},
    },
}
_ANSWERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "200": (
        "What the function returned",
        {"status": "OK", "response": {"hello-world": "Hello, World!"}},
    ),
    "400": (
        "The request cannot be read; `status` says where",
        {"status": "JSON is malformed: invalid character (byte 7)"},
    ),
    "403": ("An `assert` of the function failed", {"status": "no such token"}),
    "404": ("Nothing is exposed there; `Allow` names other methods", {"status": "hello-wrld is undefined for GET."}),
    "409": ("Several modules expose the API", {"status": "add for GET is in several modules: v1, v2."}),
    "422": (
        "The arguments do not fit the function's signature",
        {"status": "the arguments do not fit", "errors": [{"field": "a", "problem": "is required"}]},
    ),
    "429": (
        "A limit on concurrent calls is reached; see `Retry-After`",
        {"status": "this endpoint is limited to 2 calls at once"},
    ),
    "500": ("The function raised", {"status": "ERROR", "exception": "ValueError: no", "call": "0f" * 16}),
    "502": ("The process that ran the function died", {"status": "the worker died: exit code 3", "call": "0f" * 16}),
    "503": (
        "Not run: no room or no runner; see `Retry-After`",
        {"status": "no worker was free within 10 s (MAX_QUEUE_SECS)"},
    ),
    "504": ("The function ran longer than it may", {"status": "time limit of 30 s reached", "call": "0f" * 16}),
}


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document. It depends on the code alone, on no setting."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    made = get_openapi(
        title="Plugbay", version=version, description=DESCRIPTION, routes=app.routes, tags=TAGS, openapi_version=VERSION
    )
    made["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "The admin's key, `ADMIN_KEY` in `.env.local`, or one of a tenant's (docs/authentication.md)",
        }
    }
    for path, operations in made["paths"].items():
        if path.startswith("/api/"):
            for operation in operations.values():
                operation["security"] = [{"key": []}]
    made["paths"] |= _data_plane()
    made["components"]["schemas"].pop("HTTPValidationError", None)
    made["components"]["schemas"].pop("ValidationError", None)
    whole: dict[str, Any] = _as_version_3_0(made)
    return whole


def _data_plane() -> dict[str, Any]:
    directory = {
        "tags": ["calls"],
        "summary": "List everything that can be called",
        "description": "All modules of the owner with their endpoints, parameters and documentation.",
        "operationId": "directory",
        "responses": {"200": _answer("The directory", {"status": "OK", "has_plugins": True, "modules": {}})},
    }
    return {
        "/rest/services/__dir__/": {"get": directory},
        "/rest/services/{path}/": {
            method: _call(method, has_body=method != "get") for method in ("get", "post", "put", "delete", "patch")
        },
    }


def _call(method: str, *, has_body: bool) -> dict[str, Any]:
    operation = {
        "tags": ["calls"],
        "summary": "Call a function",
        "description": "Arguments are the body's fields, then the query's, then URL parameters; the later win.",
        "operationId": f"call_{method}",
        "parameters": [_PATH_PARAMETER],
        "responses": {status: _answer(text, example) for status, (text, example) in _ANSWERS.items()},
    }
    return operation | ({"requestBody": _ARGUMENTS} if has_body else {})


def _answer(text: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"description": text, "content": content}


def _as_version_3_0(node: Any) -> Any:
    """The document with what FastAPI writes for OpenAPI 3.1 said as 3.0 says it: null types, constants, examples."""
    if isinstance(node, list):
        return [_as_version_3_0(item) for item in node]
    if not isinstance(node, dict):
        return node
    said = {key: _as_version_3_0(value) for key, value in node.items()}
    if "const" in said:
        said["enum"] = [said.pop("const")]
    if isinstance(said.get("examples"), list):
        said["example"] = said.pop("examples")[0]
    options = said.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        others = [option for option in options if option != {"type": "null"}]
        said |= {"nullable": True, "anyOf": others}
        if len(others) == 1:
            del said["anyOf"]
            # What stands beside a reference counts for nothing in 3.0.
            said |= {"allOf": others} if "$ref" in others[0] else others[0]
    return said
