"""Sealed uploads: only the installation that one is for can read it. docs/tenants.md specifies them."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

from catalogue import hpke
from store.sealing import decoded_key

MEDIA_TYPE: Final = "application/vnd.plugbay.sealed"
"""Of an upload that is sealed, whatever is in it."""
OVERHEAD: Final = 1 + 16 + hpke.OVERHEAD
"""By how many bytes an upload is longer once it is sealed."""

_VERSION: Final = b"\x01"
_ID_SIZE: Final = 16
_INFO: Final = b"plugbay sealed upload 1"


class CannotOpen(Exception):
    """What was uploaded cannot be opened here; the message says why."""


def fingerprint(public: bytes) -> str:
    """What people compare of a public key: the first 16 bytes of its SHA-256, in hexadecimal."""
    return _id(public).hex()


def seal(public: bytes, owner: str, name: str, data: bytes) -> bytes:
    """An upload as module `name` of this owner, readable for the installation with this key alone. Raises
    ValueError when it is no key."""
    return _VERSION + _id(public) + hpke.seal(public, _INFO, _bound(owner, name), data)


class InstallationKeys:
    """What this installation opens uploads with."""

    def __init__(self, key: str, old: str = "") -> None:
        """`key` is INSTALLATION_KEY; empty when there is none, and then nothing can be opened. `old` is
        INSTALLATION_KEY_OLD, which opens what was sealed to it and is offered to nobody. Raises ValueError."""
        private = decoded_key("INSTALLATION_KEY", key)
        self.public = hpke.public_of(private) if private else None
        """What uploads are sealed to; None: there is none."""
        known = [one for one in (private, decoded_key("INSTALLATION_KEY_OLD", old)) if one]
        self._private = {_id(hpke.public_of(one)): one for one in known}
        self._turn = asyncio.Lock()

    async def open(self, owner: str, name: str, sealed: bytes) -> bytes:
        """What was sealed as module `name` of this owner. Raises CannotOpen."""
        async with self._turn:  # one at a time, as there is memory for one more
            return await asyncio.to_thread(self._open, owner, name, sealed)

    def _open(self, owner: str, name: str, sealed: bytes) -> bytes:
        if sealed[:1] != _VERSION or len(sealed) < OVERHEAD:
            raise CannotOpen("this is no sealed upload of version 1 (docs/tenants.md)")
        id = sealed[1 : 1 + _ID_SIZE]
        private = self._private.get(id)
        if private is None:
            own = "has none" if self.public is None else f"has {fingerprint(self.public)}"
            raise CannotOpen(f"it is sealed to the key {id.hex()}, and this installation {own}")
        try:
            return hpke.unseal(private, _INFO, _bound(owner, name), sealed[1 + _ID_SIZE :])
        except hpke.Unopenable as error:
            raise CannotOpen(
                "it does not open: it was changed on its way, or sealed for another tenant or another name"
            ) from error


def _id(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:_ID_SIZE]


def _bound(owner: str, name: str) -> bytes:
    """What it is sealed for: elsewhere it does not open."""
    return f"owner {owner}\nname {name}\n".encode()
