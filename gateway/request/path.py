"""The path of a call: one spelling, decided on the bytes as they were sent.

`/rest/services/[<uuid>/]<segment>/…/<segment>[/]` with slugs as segments. Nothing is decoded or
normalised, so that a proxy in front and the gateway cannot read a path differently.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.bad_request import BadRequest
from settings import MAX_URL_PARMS

PREFIX: Final = b"/rest/services/"
MAX_PATH: Final = 4 * 1024
"""Bytes of a path at most."""
MAX_SEGMENTS: Final = MAX_URL_PARMS + 3
"""Owner, module, API and the URL parameters."""
MAX_SEGMENT: Final = 128
"""Characters of a segment at most."""

_START: Final = len(PREFIX)
_PATH: Final = re.compile(rb"/rest/services(?:/[A-Za-z0-9_-]{1,%d}){0,%d}/?" % (MAX_SEGMENT, MAX_SEGMENTS))
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]+")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NEVER: Final = re.compile(rb"[^\x21-\x7e]|[%\\;]")


class BadPath(BadRequest):
    """The path is not one that anything could be served under; the text says what is wrong and where."""


def split(raw_path: bytes) -> tuple[str | None, list[str]]:
    """Owner and segments of a path that begins with PREFIX, or is it without its last slash.

    The owner is the first segment when that is a UUID in canonical form; in any other form it is an
    ordinary segment. A trailing slash makes no difference. Raises BadPath: 400, or 414 when a length is exceeded.
    """
    if len(raw_path) > MAX_PATH or not _PATH.fullmatch(raw_path):
        raise _why(raw_path)
    text = raw_path[_START:].decode("ascii")
    if text[-1:] == "/":
        text = text[:-1]
    if not text:
        return None, []
    segments = text.split("/")
    first = segments[0]
    if len(first) == 36 and _UUID.fullmatch(first):
        del segments[0]
        return first, segments
    return None, segments


def _why(raw_path: bytes) -> BadPath:
    if len(raw_path) > MAX_PATH:
        return BadPath(414, f"the path is longer than {MAX_PATH} bytes")
    bad = _NEVER.search(raw_path)
    if bad:
        byte = bad[0][0]
        shown = f"{chr(byte)!r}" if 0x20 <= byte < 0x7F else f"byte 0x{byte:02x}"
        return BadPath(400, f"{shown} (byte {bad.start()} of the path) is not allowed in a path")
    position = _START
    segments = raw_path[_START:].decode("ascii").removesuffix("/").split("/")
    if len(segments) > MAX_SEGMENTS:
        return BadPath(414, f"the path has more than {MAX_SEGMENTS} segments")
    for segment in segments:
        if not segment:
            return BadPath(400, f"the path has an empty segment, // (byte {position - 1})")
        if segment in (".", ".."):
            return BadPath(400, f"the path has a relative segment, {segment!r} (byte {position})")
        if not _SLUG.fullmatch(segment):
            shown = segment if len(segment) <= 64 else segment[:64] + "…"
            return BadPath(400, f"{shown!r} (byte {position}) is not a slug: letters, digits, - and _")
        if len(segment) > MAX_SEGMENT:
            return BadPath(414, f"a segment (byte {position}) is longer than {MAX_SEGMENT} characters")
        position += len(segment) + 1
    raise AssertionError(f"a good path was refused: {raw_path!r}")
