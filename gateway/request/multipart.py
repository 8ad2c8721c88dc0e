"""Bodies of the kind multipart/form-data: fields and files.

The body is in memory already, so it is cut at its delimiters in one pass of C code. A parser that steps
through it spends seconds of the event loop on ten hostile megabytes.
"""

from __future__ import annotations

import re
from typing import Final

from calls.payload import UploadedFile
from gateway.bad_request import BadRequest, field_problem
from gateway.request import media_type
from gateway.request.form import Fields, add, check_name

MAX_PART_HEADER_BYTES: Final = 2048
"""Bytes of all headers of one part at most."""
MAX_BOUNDARY: Final = 70
"""Characters of a boundary at most (RFC 2046)."""

_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PADDING: Final = re.compile(rb"[ \t]*\r\n")
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\x00]*)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def decode_multipart(body: bytes, boundary: bytes | None, max_parts: int) -> tuple[Fields, list[UploadedFile]]:
    """Fields and files. Raises BadRequest: 413 for more than `max_parts` parts, 400 for what is malformed."""
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise BadRequest(400, f"multipart/form-data needs a boundary of 1 to {MAX_BOUNDARY} characters in Content-Type")
    delimiter = b"\r\n--" + boundary
    if not body.startswith(delimiter[2:]):
        raise BadRequest(400, "the multipart body does not begin with its boundary (byte 0)")
    if body.count(delimiter) > max_parts:
        raise BadRequest(413, f"the multipart body has more than {max_parts} parts")
    fields: Fields = {}
    files: list[UploadedFile] = []
    number = 0
    start = len(delimiter) - 2
    while not body.startswith(b"--", start):
        number += 1
        padding = _PADDING.match(body, start)
        end = body.find(delimiter, start)
        if padding is None or end < 0:
            raise BadRequest(400, f"part {number} of the multipart body has no end (byte {start})")
        _add_part(number, body, padding.end(), end, fields, files)
        start = end + len(delimiter)
    return fields, files


def _add_part(number: int, body: bytes, start: int, end: int, fields: Fields, files: list[UploadedFile]) -> None:
    headers, start = _headers(number, body, start, end)
    disposition = media_type.parse(headers.get(b"content-disposition", b""))
    if disposition is None or disposition[0] != b"form-data" or b"name" not in disposition[1]:
        raise BadRequest(400, f"part {number} of the multipart body has no name in a Content-Disposition")
    is_file = b"filename" in disposition[1]
    content_type = headers.get(b"content-type", b"application/octet-stream" if is_file else b"text/plain")
    kind = media_type.parse(content_type)
    if kind is None:
        raise BadRequest(415, f"the Content-Type of part {number} of the multipart body is not a media type")
    name = _text(disposition[1][b"name"], number)
    content = body[start:end]
    if not is_file:
        if kind[1].get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8", b"us-ascii"):
            raise field_problem(415, name, "the charset must be utf-8")
        add(fields, name, _text(content, number))
        return
    check_name(name)
    file_name = _base_name(_text(disposition[1][b"filename"], number), number)
    files.append(UploadedFile(field=name, name=file_name, media_type=content_type.decode("latin-1"), content=content))


def _headers(number: int, body: bytes, start: int, end: int) -> tuple[dict[bytes, bytes], int]:
    """The headers of a part, and where its content begins."""
    # The delimiter's own line end may be that of the empty line.
    blank = body.find(b"\r\n\r\n", start - 2, min(end, start + MAX_PART_HEADER_BYTES))
    if blank < 0:
        raise BadRequest(400, f"the headers of part {number} do not end within {MAX_PART_HEADER_BYTES} bytes")
    headers: dict[bytes, bytes] = {}
    for line in body[start:blank].split(b"\r\n") if blank > start else ():
        header = _HEADER.fullmatch(line)
        if header is None or header[1].lower() in headers:
            raise BadRequest(400, f"part {number} of the multipart body has a malformed or repeated header")
        headers[header[1].lower()] = header[2]
    return headers, blank + 4


def _text(data: bytes, number: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(400, f"part {number} of the multipart body is not UTF-8: {error.reason}") from error


def _base_name(name: str, number: int) -> str:
    """The last part of a path of any system's form: never a path, at worst empty."""
    if _CONTROL.search(name):
        raise BadRequest(400, f"the file name of part {number} of the multipart body has control characters")
    base = name.replace("\\", "/").rpartition("/")[2]
    return "" if base in (".", "..") else base
