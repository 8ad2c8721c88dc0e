"""Call ids: unguessable, and never the same twice."""

from __future__ import annotations

import re

from calls.call import new_call_id


def test_call_ids_are_128_bits_in_hexadecimal_and_all_different() -> None:
    ids = [new_call_id() for _ in range(10_000)]
    assert all(re.fullmatch(r"[0-9a-f]{32}", identity) for identity in ids)
    assert len(set(ids)) == len(ids)
