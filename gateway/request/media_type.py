"""Header values of the form `token; name=value; name="value"`: Content-Type and Content-Disposition."""

from __future__ import annotations

import re
from typing import Final

MAX_PARAMETERS: Final = 8

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_KIND: Final = re.compile(rb"%b(?:/%b)?[ \t]*" % (_TOKEN, _TOKEN))
_PARAMETER: Final = re.compile(rb';[ \t]*(%b)=(?:"((?:[^"\\]|\\.)*)"|(%b))[ \t]*' % (_TOKEN, _TOKEN))


def parse(value: bytes) -> tuple[bytes, dict[bytes, bytes]] | None:
    """What comes before the first semicolon and the parameters, both names in lower case; None when the
    value is not of this form, names a parameter twice or has more than MAX_PARAMETERS."""
    kind = _KIND.match(value)
    if kind is None:
        return None
    parameters: dict[bytes, bytes] = {}
    position = kind.end()
    while position < len(value):
        found = _PARAMETER.match(value, position)
        if found is None or len(parameters) == MAX_PARAMETERS:
            return None
        name = found[1].lower()
        if name in parameters:
            return None
        quoted = found[2]
        # Browsers write a backslash in a file name as it is; only \" and \\ are escapes.
        parameters[name] = found[3] if quoted is None else re.sub(rb'\\(["\\])', rb"\1", quoted)
        position = found.end()
    return kind[0].rstrip().lower(), parameters
