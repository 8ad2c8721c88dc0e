"""Names and values as queries and urlencoded forms write them: `a=1&b=x+y&b=%7A`."""

from __future__ import annotations

import binascii
import re
from typing import Final

from gateway.bad_request import BadRequest, field_problem

Fields = dict[str, object]
"""What a caller gave by name, in the order in which it came."""

_SPECIAL: Final = re.compile(rb"[%+\0]")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decode_pairs(data: bytes, what: str, max_fields: int, status_above: int) -> Fields:
    """The fields of a query or form, `what` it is for error texts. A repeated name makes a list. Raises
    BadRequest: `status_above` for more than `max_fields` pairs, else 400 saying where."""
    if data.count(b"&") >= max_fields:
        raise BadRequest(status_above, f"the {what} has more than {max_fields} fields")
    fields: Fields = {}
    if data.isascii() and not _SPECIAL.search(data):
        for pair in data.decode("ascii").split("&"):
            if pair:
                name, _, value = pair.partition("=")
                if name in fields or name[:2] == "__":
                    add(fields, name, value)
                else:
                    fields[name] = value
        return fields
    if bad := _BAD_ESCAPE.search(data):
        raise BadRequest(400, f"the {what} has a % that is not followed by two hexadecimal digits (byte {bad.start()})")
    for number, raw in enumerate(data.split(b"&"), 1):
        if raw:
            raw_name, _, raw_value = raw.partition(b"=")
            try:
                name, value = _unescape(raw_name), _unescape(raw_value)
            except UnicodeDecodeError as error:
                raise BadRequest(400, f"field {number} of the {what} is not UTF-8: {error.reason}") from error
            add(fields, name, value)
    return fields


def add(fields: Fields, name: str, value: object) -> None:
    """Gives a field one more value."""
    if name not in fields:
        check_name(name)
        fields[name] = value
        return
    earlier = fields[name]
    if isinstance(earlier, list):
        earlier.append(value)
    else:
        fields[name] = [earlier, value]


def check_name(name: str) -> None:
    """Refuses names that a caller may not give: with NUL in it, or of the form that the platform's own have."""
    if name[:2] == "__" and name[-2:] == "__":
        raise field_problem(400, name, "names that begin and end with __ are reserved")
    if "\0" in name:
        raise field_problem(400, name, "a name cannot contain NUL")


def _unescape(raw: bytes) -> str:
    """The text with its escapes resolved; each % is known to be followed by two digits. Raises UnicodeDecodeError."""
    raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        # Quoted-printable is the same encoding with = for %, and binascii decodes it in one pass; urllib makes
        # an object for every escape, many times the size of a hostile form.
        raw = binascii.a2b_qp(raw.replace(b"=", b"=3D").replace(b"%", b"="))
    return raw.decode("utf-8")
