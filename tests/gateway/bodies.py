"""Reading bodies, and looking at what came of it."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.bad_request import BadRequest
from gateway.request.body import Body, decode_body

MB = 1_000_000
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"


def read(body: bytes, content_type: bytes | None = JSON, max_fields: int = 1000) -> Body:
    return decode_body(body, content_type, max_fields, mapped=False)


def plain(body: Body) -> object:
    """The fields as a function would get them."""
    decoded = json.loads(msgspec.json.encode(body.fields))
    if body.text is not None:
        assert json.loads(body.text) == decoded
    return decoded


def refused(status: int, body: bytes, content_type: bytes | None = JSON, max_fields: int = 1000) -> str:
    with pytest.raises(BadRequest) as error:
        read(body, content_type, max_fields)
    assert error.value.status == status, error.value.problem
    assert error.value.problem.isprintable()
    assert len(error.value.problem) < 300
    return error.value.problem
