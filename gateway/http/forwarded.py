"""Whose request a connection of nginx carries.

Everybody can send X-Forwarded-For. It is believed from whoever proves with PROXY_SECRET that he is the stack's
nginx, which writes it anew for each request; from anybody else it is a header like any other. What nginx was told of
who is signed in follows the secret in the same header, so that no configuration of nginx passes a client's own on.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final

PROOF: Final = b"x-plugbay-proxy"
PROXIED: Final = "plugbay.proxied"
"""ASGI extension of a request that came through nginx."""
SIGN_IN: Final = "sign_in"
"""In it: what nginx says of who is signed in; empty when it has not asked."""
_FORWARDED: Final = b"x-forwarded-for"

Address = tuple[str, int]
Fields = list[tuple[bytes, bytes]]


class Proxy:
    """The one that holds this secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def read(self, fields: Fields, peer: Address | None) -> tuple[Fields, Address | None, bytes | None]:
        """The headers without any proof in them, good or not; the address that the request is from; and what the
        proxy says of who is signed in, or None when the request did not come through it."""
        proofs = [value for name, value in fields if name == PROOF]
        if not proofs:
            return fields, peer, None
        rest = [field for field in fields if field[0] != PROOF]
        secret, _, sign_in = proofs[0].partition(b" ")
        if len(proofs) != 1 or not hmac.compare_digest(secret, self._secret):
            return rest, peer, None
        told = [value for name, value in rest if name == _FORWARDED]
        return rest, (_address(told[0]) if len(told) == 1 else None) or peer, sign_in


def _address(value: bytes) -> Address | None:
    try:
        return str(ipaddress.ip_address(value.decode("ascii"))), 0
    except ValueError:
        return None
