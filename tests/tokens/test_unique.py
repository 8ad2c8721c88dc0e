"""No two tokens are alike, whichever processes make them."""

from __future__ import annotations

import base64
import multiprocessing
import time
from uuid import UUID

from plugbay_client.token import HEAD_SIZE, NONCE_SIZE, TokenKey, mint

EACH = 500_000
SECS = 5.0
"""After so many seconds a process has made enough."""
KEY = TokenKey(b"\1\2\3\4", bytes(range(32)))
TENANT = UUID(int=1)


def nonces(number: int) -> bytes:
    """The nonces of as many tokens as can be made in time."""
    found = bytearray()
    until = time.monotonic() + SECS
    for _ in range(EACH):
        raw = base64.urlsafe_b64decode(mint(KEY, TENANT, "GET", "/rest/services/a"))
        found += raw[HEAD_SIZE : HEAD_SIZE + NONCE_SIZE]
        if time.monotonic() > until:
            break
    return bytes(found)


def test_nonces_of_two_processes_are_all_distinct() -> None:
    # Forked, as servers do it: a generator whose state is copied would repeat itself.
    with multiprocessing.get_context("fork").Pool(2) as pool:
        both = pool.map(nonces, range(2), chunksize=1)
    made = [one[at : at + NONCE_SIZE] for one in both for at in range(0, len(one), NONCE_SIZE)]
    print(f"{len(made)} tokens")
    assert all(both)
    assert len(set(made)) == len(made)
