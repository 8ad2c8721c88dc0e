"""The texts of tenants' keys: how they are made, what is kept of them, and how one that was sent is read.

A tenant's first key is `pbt_<tenant>_<secret>`, an API key `pba_<tenant>_<id>_<secret>`: whose it is and which of the
tenant's it is stand in it, so that nothing is searched for.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from uuid import UUID

_FORM: Final = re.compile(rb"(?:pbt_([0-9a-f]{32})|pba_([0-9a-f]{32})_([0-9a-f]{16}))_[A-Za-z0-9_-]{43}")
"""The tenant's UUID, an API key's id, and 256 random bits."""
_LIKE_ONE: Final = re.compile(rb"pb[at]_[0-9a-f]{32}_", re.IGNORECASE)
"""How each begins."""


def new_key(uuid: str) -> str:
    """A first key for a tenant. It is given to its holder and kept nowhere."""
    return f"pbt_{UUID(uuid).hex}_{secrets.token_urlsafe(32)}"


def new_api_key(uuid: str, id: str) -> str:
    """An API key for a tenant, with an id of 16 hexadecimal digits. It is given to its holder and kept nowhere."""
    return f"pba_{UUID(uuid).hex}_{id}_{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """What the store keeps of a key: SHA-256, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


class SentKey(NamedTuple):
    """A key that somebody sent; whether it is good is not known yet."""

    uuid: str
    """Of the tenant that it says it is of."""
    id: str
    """Of an API key; empty: it is the tenant's first one."""
    digest: str

    @classmethod
    def parse(cls, text: bytes) -> SentKey | None:
        """What this text says; None when it has not the form of a tenant's key."""
        form = _FORM.fullmatch(text)
        if form is None:
            return None
        uuid = str(UUID((form[1] or form[2]).decode()))
        return cls(uuid, (form[3] or b"").decode(), hashlib.sha256(text).hexdigest())


def without_keys(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The headers without an Authorization that holds a tenant's key, or what looks like one: no function sees it,
    whoever owns that and whether the key was asked for or not."""
    return (one for one in headers if one[0] != b"authorization" or _LIKE_ONE.search(one[1]) is None)
