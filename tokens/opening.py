"""Opens tokens: whether one was made with a key of this tenant, for exactly this request, and when."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from nacl.exceptions import CryptoError

from plugbay_client.token import HEAD_SIZE, ISSUED_SIZE, NONCE_SIZE, SECRET_SIZE, VERSION, bound

SKEW_SECS: Final = 5
"""Seconds that a client's clock may be ahead. One that is behind has so much less of a token's life."""

_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{92}")
"""69 bytes. As 92 characters hold exactly 69 bytes, no bit is left over and each token has one spelling."""
_NOBODYS: Final = bytes(SECRET_SIZE)


class BadToken(Exception):
    """The request is not let through. The reason is for the log alone: clients are told the same of all."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A token that is genuine; whether it is fresh and new is not said."""

    issued_ms: int
    """Unix time in milliseconds at which its maker says it was made."""
    jti: bytes
    """What no other token has."""


def open_token(token: bytes, keys: Mapping[bytes, bytes], tenant: bytes, method: bytes, target: bytes) -> Opened:
    """The content of a token. `keys` are the secrets of the tenant's keys by id, `tenant` the bytes of its UUID,
    `target` path and query as they were sent. Raises BadToken when it is none for this request."""
    if not _TOKEN.fullmatch(token):
        raise BadToken("it is not 92 characters of base64url")
    raw = base64.urlsafe_b64decode(token)
    head, nonce, sealed = raw[:HEAD_SIZE], raw[HEAD_SIZE : HEAD_SIZE + NONCE_SIZE], raw[HEAD_SIZE + NONCE_SIZE :]
    if not head.startswith(VERSION):
        raise BadToken("its version is unknown")
    secret = keys.get(head[len(VERSION) :])
    try:
        # Without a key it is opened just the same, so that both take the same time.
        content = crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed, bound(head, tenant, method, target), nonce, _NOBODYS if secret is None else secret
        )
    except CryptoError as error:
        raise BadToken("its key is unknown" if secret is None else "it is not for this request") from error
    if secret is None:  # made with the key that stands for none
        raise BadToken("its key is unknown")
    return Opened(int.from_bytes(content[:ISSUED_SIZE], "big"), content[ISSUED_SIZE:])


def check_fresh(opened: Opened, now_ms: int, life_secs: int) -> None:
    """Raises BadToken when a token is too old, or from further in the future than clocks may differ."""
    age_ms = now_ms - opened.issued_ms
    if age_ms >= life_secs * 1000:
        raise BadToken(f"it was made {age_ms} ms ago")
    if age_ms < -SKEW_SECS * 1000:
        raise BadToken(f"it was made {-age_ms} ms in the future")
