"""The body of a request: received within its bound, and read as what its Content-Type says it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from uvicorn._types import ASGIReceiveCallable

from calls.payload import UploadedFile
from gateway.bad_request import BadRequest
from gateway.request import media_type
from gateway.request.form import Fields, check_name, decode_pairs
from gateway.request.json_body import decode_json
from gateway.request.multipart import decode_multipart

MAX_CONTENT_TYPE: Final = 1024
"""Bytes of a Content-Type at most."""
MAP: Final = "__map__"
"""Field of a JSON object that renames URL parameters."""


class ClientGone(Exception):
    """The client left before its request was complete; nobody waits for an answer."""


class Body(msgspec.Struct):
    """What a body says."""

    fields: Fields = {}
    text: bytes | None = None
    """JSON object that says just the same as `fields`, when there is one already."""
    map: msgspec.Raw | None = None
    """The value of MAP, which is no field."""
    files: list[UploadedFile] = []
    content: bytes | None = None
    """A body that is neither JSON nor a form."""


async def read_body(receive: ASGIReceiveCallable, max_bytes: int) -> bytes:
    """The whole body. Raises BadRequest (413) above `max_bytes`, or ClientGone."""
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise ClientGone
        chunk = event["body"]
        size += len(chunk)
        if size > max_bytes:
            raise BadRequest(413, f"the body is larger than {max_bytes} bytes")
        if not event["more_body"]:
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)


def decode_body(body: bytes, content_type: bytes | None, max_fields: int, *, mapped: bool) -> Body:
    """Reads a body that is not empty. `mapped` allows MAP in a JSON object. Raises BadRequest: 400 saying
    where, 413 for more than `max_fields` fields, 415 for what cannot be read."""
    if content_type == b"application/json":
        return _json(body, max_fields, mapped=mapped)
    if content_type is None:
        raise BadRequest(415, "Content-Type is missing: say what the body is, for instance application/json")
    kind, parameters = _parse(content_type)
    if kind == b"application/json" or kind.endswith(b"+json"):
        _check_charset(parameters)
        return _json(body, max_fields, mapped=mapped)
    if kind == b"application/x-www-form-urlencoded":
        _check_charset(parameters)
        return Body(fields=decode_pairs(body, "form", max_fields, 413))
    if kind == b"multipart/form-data":
        fields, files = decode_multipart(body, parameters.get(b"boundary"), max_fields)
        return Body(fields=fields, files=files)
    return Body(content=body)


def announces_json(content_type: bytes | None) -> bool:
    """True when a body of this Content-Type has to be JSON."""
    if content_type is None or b"json" not in content_type.lower():
        return False
    kind, _ = _parse(content_type)
    return kind == b"application/json" or kind.endswith(b"+json")


def _parse(content_type: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    parsed = media_type.parse(content_type) if len(content_type) <= MAX_CONTENT_TYPE else None
    if parsed is None or b"/" not in parsed[0]:
        raise BadRequest(415, "Content-Type is not a media type")
    return parsed


def _check_charset(parameters: dict[bytes, bytes]) -> None:
    if parameters.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise BadRequest(415, "the charset must be utf-8")


def _json(body: bytes, max_fields: int, *, mapped: bool) -> Body:
    value = decode_json(body, max_fields)
    if isinstance(value, msgspec.Raw):
        return Body(fields={"__body__": value})
    map_ = value.pop(MAP, None) if mapped else None
    _check_names(value)
    return Body(fields=dict(value), text=body if map_ is None else None, map=map_)


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        check_name(name)
