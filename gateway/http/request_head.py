"""What the request line and headers of a request must be, beyond what llhttp checks.

llhttp refuses bare CR and LF, NUL and control characters, obs-fold, a space before the colon, more than
one or an odd Content-Length, Content-Length beside Transfer-Encoding and malformed chunks. It accepts,
and this file refuses: HTTP/0.9 and 2.0, transfer codings before `chunked`, chunked in HTTP/1.0, any
number of Host headers of any form, any method it knows, and fragments in targets.
"""

from __future__ import annotations

import re
from typing import Final

import httptools

from gateway.bad_request import BadRequest

METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
ALLOW: Final = b", ".join(METHODS)

NOTED: Final = frozenset(
    {b"host", b"content-type", b"content-length", b"transfer-encoding", b"content-encoding", b"expect"}
)
"""Headers that may come only once, and that decide how the request is read."""

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9.\-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(/[^?]*)?(?:\?(.*))?", re.IGNORECASE | re.DOTALL)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: ?chunked\r\n", re.IGNORECASE)
_METHOD: Final = re.compile(rb"[\r\n]*([A-Z]{1,32})(?: |$)")


def check_version(version: str) -> None:
    """Refuses everything but HTTP/1.1 and HTTP/1.0."""
    if version not in ("1.1", "1.0"):
        raise BadRequest(505, f"HTTP/{version} is not served: use HTTP/1.1")


def method_name(method: bytes) -> str:
    """The method as text. Refuses those that nothing here answers."""
    try:
        return METHODS[method]
    except KeyError:
        raise unknown_method() from None


def unknown_method() -> BadRequest:
    """The refusal of a method that nothing here answers."""
    allowed = ALLOW.decode()
    return BadRequest(405, f"the method is not allowed: use one of {allowed}", headers=((b"allow", ALLOW),))


def check_host(host: bytes | None) -> None:
    """Refuses a Host header that is missing or not `name`, `name:port`, `[v6]` or `[v6]:port`."""
    if host is None:
        raise BadRequest(400, "Host header is missing: send exactly one")
    if not _HOST.fullmatch(host):
        raise BadRequest(400, "Host header is not a host name or address with an optional port")


def split_target(target: bytes, method: str) -> tuple[bytes, bytes]:
    """Path and query of a request target, both as sent: escapes are not resolved. An absolute URL is
    treated as its path; `*` is its own path, for OPTIONS only."""
    if 0x23 in target:
        raise BadRequest(400, "request target has a fragment (#): leave it out")
    if target[:1] == b"/":
        path, _, query = target.partition(b"?")
        return path, query
    if target == b"*" and method == "OPTIONS":
        return target, b""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise BadRequest(400, "request target is not a path: it must begin with /")
    if not _HOST.fullmatch(match[1]):
        raise BadRequest(400, "request target has no valid host: send the path alone")
    return match[2] or b"/", match[3] or b""


def check_body_headers(noted: dict[bytes, bytes], raw: bytes, version: str, max_body_bytes: int) -> bool:
    """Checks what announces a body; `raw` contains the head as it came. True when the client waits to be told to send it."""
    if b"transfer-encoding" in noted:
        if version != "1.1":
            raise BadRequest(400, "Transfer-Encoding is not part of HTTP/1.0: send a Content-Length")
        # What means `chunked` but is spelt otherwise may have meant something else to a proxy.
        if noted[b"transfer-encoding"].lower() != b"chunked" or not _CHUNKED.search(raw):
            raise BadRequest(400, "Transfer-Encoding must be exactly `chunked`")
    length = noted.get(b"content-length")
    if length is not None and int(length) > max_body_bytes:
        raise too_large(max_body_bytes)
    if noted.get(b"content-encoding", b"identity").lower() != b"identity":
        raise BadRequest(415, "Content-Encoding is not supported: send the body as it is")
    expect = noted.get(b"expect")
    if expect is None:
        return False
    if expect.lower() != b"100-continue":
        raise BadRequest(417, "Expect can only be 100-continue")
    return version == "1.1"


def too_large(max_body_bytes: int) -> BadRequest:
    """The refusal of a body above the bound."""
    return BadRequest(413, f"the body is larger than {max_body_bytes} bytes")


def explain(error: httptools.HttpParserError, data: bytes) -> BadRequest:
    """The refusal for what llhttp could not parse; `data` is what it was given last."""
    reason = str(error)
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        # A method that is known is that of an earlier request, and what follows it is no request.
        first = _METHOD.match(data)
        if first and first[1] not in METHODS:
            return unknown_method()
    if reason == "Invalid HTTP version":
        return BadRequest(505, "this version of HTTP is not served: use HTTP/1.1")
    if reason == "Pause on PRI/Upgrade":
        return BadRequest(505, "HTTP/2 is not served: use HTTP/1.1")
    if reason == "Expected HTTP/, RTSP/ or ICE/":
        reason = "HTTP/1.1 must follow the request target, which has no spaces in it"
    return BadRequest(400, f"this is not valid HTTP/1.1: {reason}")
