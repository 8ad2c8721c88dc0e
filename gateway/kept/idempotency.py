"""The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): with it a request that changes something can be
sent again, and is carried out once.

A key is its owner's and that of the credential it was sent with: under the same key others find nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.bad_request import BadRequest
from gateway.identity import SignIn
from plugbay_client.token import HEAD_SIZE

METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods with which the header counts; the others change nothing, or not as far as HTTP knows."""
MAX_KEY: Final = 255
"""Characters of a key at most."""
REPLAYED: Final = (b"idempotency-replayed", b"true")
"""Header of an answer that was given before."""

_BARE: Final = re.compile(rb"[!#-~][!-~]*")
_QUOTED: Final = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])+)"')
"""A string of RFC 9651, 3.3.3."""
_TOKEN: Final = b"token "
_HEAD: Final = 8
"""Characters of a token that hold its first 6 bytes, of which HEAD_SIZE name the key that it was made with."""
_CREDENTIALS: Final = (b"authorization", b"cookie")


def key_of(values: Sequence[bytes]) -> bytes:
    """The key that these headers give. Raises BadRequest."""
    if len(values) == 1:
        quoted = _QUOTED.fullmatch(values[0])
        if quoted is not None:
            key = re.sub(rb"\\(.)", rb"\1", quoted[1])
        else:
            key = values[0] if _BARE.fullmatch(values[0]) else b""
        if 1 <= len(key) <= MAX_KEY:
            return key
    told = f"Idempotency-Key is one string of 1 to {MAX_KEY} visible ASCII characters, in quotation marks or without"
    raise BadRequest(400, told)


def id_of(owner: str, credential: Iterable[bytes], key: bytes) -> str:
    """What is kept under a key is found by. No path of a result leads there."""
    return f"key:{_digest([owner.encode(), *credential, key]).hex()}"


def credential_of(headers: Iterable[tuple[bytes, bytes]], known: SignIn, *, token: bool) -> list[bytes]:
    """Who sends a request, as far as that is known here: who is signed in, the key of its token or its API key, and what
    else functions may know people by. `token`: requests to this owner take one, and this one's is good."""
    told = [b"" if known.identity is None else known.identity.user.encode()]
    for name, value in known.shown(headers):
        if name in _CREDENTIALS:
            scheme, rest = value[: len(_TOKEN)].lower(), value[len(_TOKEN) :]
            if token and name == b"authorization" and scheme == _TOKEN:  # each request has another token
                value = scheme + base64.urlsafe_b64decode(rest[:_HEAD])[:HEAD_SIZE]
            told += (name, value)
    return told


def mark_of(scope: Any, body: bytes) -> bytes:
    """What a request asks for: another one with the same key is refused."""
    kind = b",".join(value for name, value in scope["headers"] if name == b"content-type")
    return _digest([scope["method"].encode(), scope["raw_path"], scope["query_string"], kind, body])


def _digest(parts: Iterable[bytes]) -> bytes:
    """Of parts that cannot run into each other."""
    told = hashlib.sha256()
    for part in parts:
        told.update(b"%d:" % len(part))
        told.update(part)
    return told.digest()
