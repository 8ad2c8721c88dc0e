"""JSON bodies: checked as far as that is possible without making objects of them.

An object is cut into its fields and nothing below is decoded: the worker does that, under its own
limits. A body costs no more than its size here, whatever it nests or repeats.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

import msgspec

from gateway.bad_request import BadRequest, field_problem

_SLICE: Final = 64 * 1024
_OBJECT: Final = re.compile(rb"[ \t\r\n]*\{")


class _Key(str):
    """A top-level key. msgspec keeps the last of equal keys silently, but asks a hook to make each of these."""

    __slots__ = ()


_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any: Final = msgspec.json.Decoder(msgspec.Raw)


def decode_json(body: bytes, max_fields: int) -> dict[str, msgspec.Raw] | msgspec.Raw:
    """The fields of a JSON object, still encoded, or any other JSON value as it is.

    Numbers out of range are not found here. Raises BadRequest: 413 for more than `max_fields` fields,
    400 saying where for everything else.
    """
    if not body.isascii():
        _check_utf8(body)
    try:
        if not _OBJECT.match(body):
            return _any.decode(body)
        colons = body.count(b":")
        if colons <= max_fields:
            fields = _object.decode(body)
            # Every field has a colon, so as many colons as fields leave none for a second field of a name.
            if len(fields) == colons or (len(body) <= _SLICE and msgspec.json.encode(fields) == body):
                return fields
        return _decode_counting(body, max_fields)
    except msgspec.DecodeError as error:
        raise BadRequest(400, _describe(error, body)) from error
    except RecursionError as error:
        raise BadRequest(400, "JSON is nested too deeply") from error


def _decode_counting(body: bytes, max_fields: int) -> dict[str, msgspec.Raw]:
    seen: set[str] = set()

    def note(_: type, key: str) -> _Key:
        if key in seen:
            raise field_problem(400, key, "this key comes twice in the JSON object")
        if len(seen) == max_fields:
            raise BadRequest(413, f"the JSON object has more than {max_fields} fields")
        seen.add(key)
        return _Key(key)

    decoded = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=note).decode(body)
    return {str(key): value for key, value in decoded.items()}


def _check_utf8(body: bytes) -> None:
    if body.startswith(codecs.BOM_UTF8):
        raise BadRequest(400, "JSON begins with a byte order mark (byte 0): send it without one")
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body), _SLICE):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(body[start : start + _SLICE], final=start + _SLICE >= len(body))
        except UnicodeDecodeError as error:
            where = start - pending + error.start
            raise BadRequest(400, f"JSON is not UTF-8: {error.reason} (byte {where})") from error


def _describe(error: msgspec.DecodeError, body: bytes) -> str:
    text = str(error)
    return f"JSON is malformed: it ends too early (byte {len(body)})" if text == "Input data was truncated" else text
