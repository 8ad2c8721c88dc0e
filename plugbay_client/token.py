"""Single-use tokens as whoever calls makes them. docs/tokens.md specifies the format.

A token lets one request through: one method, path and query of one tenant, once, within half a minute.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt

VERSION: Final = b"\x01"
KEY_ID_SIZE: Final = 4
SECRET_SIZE: Final = 32
NONCE_SIZE: Final = 24
ISSUED_SIZE: Final = 8
JTI_SIZE: Final = 16
HEAD_SIZE: Final = len(VERSION) + KEY_ID_SIZE
"""Bytes in clear before the nonce: version and key id."""

_KEY: Final = re.compile(r"pbk_([A-Za-z0-9_-]{48})")
_METHOD: Final = re.compile(r"[A-Z]{1,16}")
_TARGET: Final = re.compile(r"/rest/[\x21-\x22\x24-\x7e]*")


@dataclass(frozen=True)
class TokenKey:
    """A tenant's key for tokens, as the control plane gives it once."""

    id: bytes
    """Says which of the tenant's keys this is; no secret."""
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> TokenKey:
        """A random key."""
        return cls(secrets.token_bytes(KEY_ID_SIZE), secrets.token_bytes(SECRET_SIZE))

    @classmethod
    def parse(cls, text: str) -> TokenKey:
        """The key that `pbk_…` stands for. Raises ValueError, which does not repeat the text."""
        match = _KEY.fullmatch(text)
        if match is None:
            raise ValueError("this is no key for tokens: it is pbk_ and 48 letters, digits, - and _")
        raw = base64.urlsafe_b64decode(match[1])
        return cls(raw[:KEY_ID_SIZE], raw[KEY_ID_SIZE:])

    def text(self) -> str:
        """The key as people copy it."""
        return "pbk_" + base64.urlsafe_b64encode(self.id + self.secret).decode()


def bound(head: bytes, tenant: bytes, method: bytes, target: bytes) -> bytes:
    """The one encoding of what a token is for: its additional authenticated data.

    `head` are the token's version and key id, `tenant` the 16 bytes of the UUID.
    """
    return b"".join((head, tenant, bytes((len(method),)), method, target))


def seal(key: TokenKey, tenant: UUID, method: str, target: str, issued_ms: int, jti: bytes, nonce: bytes) -> str:
    """The token made of exactly these. For test vectors; who makes a token to use it calls `mint`.

    Raises ValueError when method or target is none that Plugbay could be sent.
    """
    if not _METHOD.fullmatch(method):
        raise ValueError(f"{method!r} is no method: it is 1 to 16 capital letters")
    if not _TARGET.fullmatch(target) or target.endswith("?"):
        raise ValueError(f"{target!r} is no target: path from /rest/ on and query, as sent, without a lone ? or a #")
    head = VERSION + key.id
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(
        issued_ms.to_bytes(ISSUED_SIZE, "big") + jti,
        bound(head, tenant.bytes, method.encode(), target.encode()),
        nonce,
        key.secret,
    )
    return base64.urlsafe_b64encode(head + nonce + sealed).decode()


def mint(key: TokenKey, tenant: UUID, method: str, target: str, now: float | None = None) -> str:
    """A token for one request, to be sent as `Authorization: Token <it>`.

    `target` is the path from `/rest/` on, with `?` and the query when there is one, exactly as sent. `now` is
    Unix time in seconds, for those whose own clock is wrong. Raises ValueError: see `seal`.
    """
    issued_ms = int((time.time() if now is None else now) * 1000)
    jti = secrets.token_bytes(JTI_SIZE)
    return seal(key, tenant, method, target, issued_ms, jti, secrets.token_bytes(NONCE_SIZE))
