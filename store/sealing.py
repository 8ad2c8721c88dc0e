"""Secrets at rest: what is kept of them cannot be read without the installation's key, nor moved elsewhere."""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

_VERSION: Final = b"\x01"
_NONCE_SIZE: Final = 24
_TAG_SIZE: Final = 16
_KEY_SIZE: Final = 32


def variables_of(owner: str) -> str:
    """What the variables of an owner's functions are sealed as."""
    return f"variables of {owner}"


def token_keys_of(owner: str) -> str:
    """What the keys that tokens for an owner's functions are made with are sealed as."""
    return f"token keys of {owner}"


class Unsealable(Exception):
    """What is kept cannot be read; the message says why, and not what it was."""


class Sealer:
    """Seals with XChaCha20-Poly1305 under one key, with a nonce of its own each time."""

    def __init__(self, key: str, old: str = "") -> None:
        """`key` is SECRETS_KEY; empty when there is none, and then nothing can be sealed or read. `old` is
        SECRETS_KEY_OLD, with which things are read and not sealed. Raises ValueError."""
        self._key = decoded_key("SECRETS_KEY", key)
        self._old = decoded_key("SECRETS_KEY_OLD", old)

    def seal(self, what: str, secret: bytes) -> str:
        """The secret, readable only as `what`. Raises Unsealable."""
        nonce = secrets.token_bytes(_NONCE_SIZE)
        head = _VERSION + nonce
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(secret, _VERSION + what.encode(), nonce, self._needed())
        return base64.urlsafe_b64encode(head + sealed).decode()

    def read(self, what: str, sealed: str) -> bytes:
        """The secret that was sealed as `what`. Raises Unsealable."""
        return self._read(what, sealed)[0]

    def reseal(self, what: str, sealed: str) -> str | None:
        """The same sealed with the key; None when it is that already. Raises Unsealable."""
        secret, key = self._read(what, sealed)
        return None if key == self._key else self.seal(what, secret)

    def _read(self, what: str, sealed: str) -> tuple[bytes, bytes]:
        """The secret, and the key that it was sealed with."""
        keys = [self._needed(), *([self._old] if self._old else [])]
        try:
            raw = base64.urlsafe_b64decode(sealed)
        except (binascii.Error, ValueError) as error:
            raise Unsealable(f"{what}: what is kept is damaged") from error
        nonce, text = raw[1 : 1 + _NONCE_SIZE], raw[1 + _NONCE_SIZE :]
        if raw[:1] != _VERSION or len(text) < _TAG_SIZE:
            raise Unsealable(f"{what}: what is kept is damaged")
        for key in keys:
            try:
                return crypto_aead_xchacha20poly1305_ietf_decrypt(text, _VERSION + what.encode(), nonce, key), key
            except CryptoError:
                continue
        raise Unsealable(f"{what}: SECRETS_KEY is another one than it was kept with, or it is damaged")

    def _needed(self) -> bytes:
        if not self._key:
            raise Unsealable("SECRETS_KEY is not set: the next start makes it, in .env.local")
        return self._key


def decoded_key(name: str, key: str) -> bytes:
    """The bytes of a key; none of an empty one. Raises ValueError."""
    raw = base64.urlsafe_b64decode(key + "=") if key else b""
    if key and len(raw) != _KEY_SIZE:
        raise ValueError(f"{name}: it is 43 characters of base64url, 32 bytes")
    return raw
