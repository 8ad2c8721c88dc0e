"""Whose request a connection of nginx carries.

Everybody can send X-Forwarded-For. It is believed from whoever proves with PROXY_SECRET that he is the stack's
nginx, which writes it anew for each request; from anybody else it is a header like any other.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final

PROOF: Final = b"x-plugbay-proxy"
PROXIED: Final = "plugbay.proxied"
"""ASGI extension of a request that came through nginx."""
_FORWARDED: Final = b"x-forwarded-for"

Address = tuple[str, int]
Fields = list[tuple[bytes, bytes]]


class Proxy:
    """The one that holds this secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def read(self, fields: Fields, peer: Address | None) -> tuple[Fields, Address | None, bool]:
        """The headers without any proof in them, good or not; the address that the request is from; and whether
        it came through the proxy."""
        proofs = [value for name, value in fields if name == PROOF]
        if not proofs:
            return fields, peer, False
        rest = [field for field in fields if field[0] != PROOF]
        if len(proofs) != 1 or not hmac.compare_digest(proofs[0], self._secret):
            return rest, peer, False
        told = [value for name, value in rest if name == _FORWARDED]
        return rest, (_address(told[0]) if len(told) == 1 else None) or peer, True


def _address(value: bytes) -> Address | None:
    try:
        return str(ipaddress.ip_address(value.decode("ascii"))), 0
    except ValueError:
        return None
