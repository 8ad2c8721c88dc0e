"""Which response headers a function may set. Framing, caching, cookies and what proxies act on are the platform's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

NO_TIMING: Final = (b"server-timing", b"queue;dur=0.000, run;dur=0.000")
"""Where the time of a request went that never became a call."""
NO_STORE: Final = (b"cache-control", b"no-store")
"""Who stores such an answer would give it to requests without a credential, or to somebody else."""
MAX_HEADERS: Final = 64
"""Headers a function may ask for."""
MAX_HEADER_BYTES: Final = 16 * 1024
"""Bytes of what it asks for, all names and values together."""

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_ONE: Final = frozenset(
    {"content-disposition", "content-language", "content-type", "etag", "last-modified", "location", "retry-after"}
)
"""Allowed, and at most once: of several the last one holds."""
_OWN: Final = (
    "x-accel-",
    "x-forwarded-",
    "x-sendfile",
    "x-lighttpd-",
    "x-call-id",
    "x-given-up",
    "x-content-type-options",
)
"""Beginnings of X- headers that proxies act on or the platform sets."""
_BELOW: Final = re.compile(r"(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]*(?:[?#][!-~]*)?")


class InvalidHeader(Exception):
    """The function asked for a header that cannot be sent; the message names it. The caller gets 500."""


def valid_status(status: int) -> bool:
    """True for a status that a function may answer with."""
    return 200 <= status <= 599


def response_headers(
    asked: Iterable[tuple[str, str]], *, media_type: str = "", own_prefix: str | None = None
) -> list[tuple[bytes, bytes]]:
    """What of the headers that a function asked for is sent, names in lower case, with a Content-Type when
    the function or `media_type` gives one; `media_type` wins.

    `own_prefix` is the path below which a tenant's functions are served, with a slash at its end; a
    Location must be below it. None: an admin's function, which may redirect anywhere and set cookies.
    What is not allowed is left out. Raises InvalidHeader for what would break the response.
    """
    ones: dict[bytes, bytes] = {}
    many: list[tuple[bytes, bytes]] = []
    size = 0
    for count, (name, value) in enumerate(asked, 1):
        size += len(name) + len(value)
        if count > MAX_HEADERS or size > MAX_HEADER_BYTES:
            raise InvalidHeader(f"invalid header: more than {MAX_HEADERS} headers or {MAX_HEADER_BYTES} bytes of them")
        _check(name, value)
        lower = name.lower()
        if lower in _ONE:
            if lower != "location" or own_prefix is None or _below(value, own_prefix):
                ones[lower.encode("ascii")] = value.encode("latin-1")
        elif (lower.startswith("x-") and not lower.startswith(_OWN)) or (lower == "set-cookie" and own_prefix is None):
            many.append((lower.encode("ascii"), value.encode("latin-1")))
    if media_type:
        _check("content-type", media_type)
        ones[b"content-type"] = media_type.encode("latin-1")
    return [*ones.items(), *many]


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidHeader(f"invalid header: {name[:64]!r} is not a header name")
    if not _VALUE.fullmatch(value):
        raise InvalidHeader(f"invalid header: the value of {name[:64]!r} has characters that cannot be sent")


def _below(location: str, prefix: str) -> bool:
    """True when a browser that is at a URL below `prefix` stays below it when it follows `location`."""
    return bool(_BELOW.fullmatch(location.removeprefix(prefix)))
