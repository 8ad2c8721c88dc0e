"""The Prefer header (RFC 7240), of which `respond-async` is understood. Whatever else it says, or if it says nothing that
can be read, is ignored, as the RFC asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

APPLIED: Final = (b"preference-applied", b"respond-async")

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_VALUE: Final = rb'(?:[ \t]*+=[ \t]*+(?:%b|("(?:[^"\\]|\\.)*+")))?' % _TOKEN
_ONE: Final = re.compile(
    rb"[ \t]*+(?:(%b)(%b)((?:[ \t]*+;[ \t]*+(?:%b%b)?+)*+))?+[ \t]*+(?:,|$)" % (_TOKEN, _VALUE, _TOKEN, _VALUE)
)
"""One preference of a list: its name, its value, its parameters; an element of a list may be empty (RFC 9110, 5.6.1)."""
_NO_VALUE: Final = re.compile(rb'(?:[ \t]*=[ \t]*"")?')


def wants_async(values: Iterable[bytes]) -> bool:
    """Whether a request with these Prefer headers would rather have its answer later."""
    return any(_wants_async(value) for value in values)


def _wants_async(value: bytes) -> bool:
    position, wanted = 0, False
    while position < len(value):
        found = _ONE.match(value, position)
        if found is None:
            return False
        if found[1] is not None and found[1].lower() == b"respond-async":
            wanted = wanted or _NO_VALUE.fullmatch(found[2]) is not None
        position = found.end()
    return wanted
