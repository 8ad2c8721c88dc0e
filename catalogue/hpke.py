"""HPKE (RFC 9180), base mode, for one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305.

Curve and cipher are libsodium's; HKDF is a few calls of HMAC. The names of values are those of the RFC.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

KEY_SIZE: Final = 32
"""Bytes of a key, public or private."""
OVERHEAD: Final = KEY_SIZE + 16
"""By how many bytes a sealed message is longer: the sender's public key for this one message, and the tag."""

_NONCE_SIZE: Final = 12
_KEM: Final = b"KEM\x00\x20"
_SUITE: Final = b"HPKE\x00\x20\x00\x01\x00\x03"
_MODE_BASE: Final = b"\x00"


class Unopenable(Exception):
    """The message was sealed otherwise, or changed since."""


def public_of(private: bytes) -> bytes:
    """The public half of a private key, which is any 32 bytes. Raises ValueError for fewer or more."""
    if len(private) != KEY_SIZE:  # libsodium reads as many, whatever it is given
        raise ValueError(f"a private key of X25519 has {KEY_SIZE} bytes")
    return crypto_scalarmult_base(private)


def seal(public: bytes, info: bytes, aad: bytes, message: bytes) -> bytes:
    """A message that only the holder of the private half can read, with the same `info` and `aad`.

    Raises ValueError when this is no public key.
    """
    private = secrets.token_bytes(KEY_SIZE)
    enc = public_of(private)
    if len(public) != KEY_SIZE:  # libsodium reads as many, whatever it is given
        raise ValueError(f"a public key of X25519 has {KEY_SIZE} bytes")
    try:
        dh = crypto_scalarmult(private, public)
    except CryptoError as error:
        raise ValueError("it is no public key of X25519") from error
    key, nonce = _key_schedule(_extract_and_expand(dh, enc + public), info)
    return enc + crypto_aead_chacha20poly1305_ietf_encrypt(message, aad, nonce, key)


def unseal(private: bytes, info: bytes, aad: bytes, sealed: bytes) -> bytes:
    """The message. Raises Unopenable."""
    enc, ciphertext = sealed[:KEY_SIZE], sealed[KEY_SIZE:]
    if len(sealed) < OVERHEAD:
        raise Unopenable
    try:
        dh = crypto_scalarmult(private, enc)
        key, nonce = _key_schedule(_extract_and_expand(dh, enc + public_of(private)), info)
        return crypto_aead_chacha20poly1305_ietf_decrypt(ciphertext, aad, nonce, key)
    except CryptoError as error:
        raise Unopenable from error


def _extract_and_expand(dh: bytes, kem_context: bytes) -> bytes:
    """The shared secret. RFC 9180, 4.1."""
    eae_prk = _labeled_extract(_KEM, b"", b"eae_prk", dh)
    return _labeled_expand(_KEM, eae_prk, b"shared_secret", kem_context, KEY_SIZE)


def _key_schedule(shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the one message. RFC 9180, 5.1, without a key that both sides share already."""
    psk_id_hash = _labeled_extract(_SUITE, b"", b"psk_id_hash", b"")
    info_hash = _labeled_extract(_SUITE, b"", b"info_hash", info)
    context = _MODE_BASE + psk_id_hash + info_hash
    secret = _labeled_extract(_SUITE, shared_secret, b"secret", b"")
    return (
        _labeled_expand(_SUITE, secret, b"key", context, KEY_SIZE),
        _labeled_expand(_SUITE, secret, b"base_nonce", context, _NONCE_SIZE),
    )


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, "sha256")


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """The first block of HKDF-Expand, which is all that is needed: `length` is 32 at most."""
    labeled = length.to_bytes(2) + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, labeled + b"\x01", "sha256")[:length]
