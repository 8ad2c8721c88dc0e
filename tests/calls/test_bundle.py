"""Bundles: content addresses depend on the files alone."""

from __future__ import annotations

import pytest

from calls import bundle


def test_files_come_back() -> None:
    files = {"m/__init__.py": b"x = 1", "m/data.bin": bytes(range(256))}
    assert bundle.unpack(bundle.pack(files)) == files


def test_the_digest_does_not_depend_on_the_order() -> None:
    one = bundle.pack({"a.py": b"1", "b.py": b"2"})
    two = bundle.pack({"b.py": b"2", "a.py": b"1"})
    assert bundle.digest(one) == bundle.digest(two) != bundle.digest(bundle.pack({"a.py": b"1"}))


@pytest.mark.parametrize("data", [b"", b"\xc0", b"\x91\x91\xa1a", b"\x91" * 100_000])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a bundle"):
        bundle.unpack(data)
