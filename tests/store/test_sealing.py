"""What is sealed is read with the same key, as the same thing, whole; in no other way."""

from __future__ import annotations

import base64

import pytest

from store.sealing import Sealer, Unsealable

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
OTHER = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")


@pytest.mark.parametrize("secret", [b"", b"x", bytes(100_000)])
def test_what_was_sealed_is_read(secret: bytes) -> None:
    assert Sealer(KEY).read("a", Sealer(KEY).seal("a", secret)) == secret


def test_no_two_seals_are_alike() -> None:
    assert len({Sealer(KEY).seal("a", b"secret") for _ in range(100)}) == 100


def test_it_is_no_other_thing_and_of_no_other_key() -> None:
    sealed = Sealer(KEY).seal("a", b"secret")
    with pytest.raises(Unsealable):
        Sealer(KEY).read("b", sealed)
    with pytest.raises(Unsealable, match="SECRETS_KEY is another"):
        Sealer(OTHER).read("a", sealed)


def test_every_bit_counts() -> None:
    raw = base64.urlsafe_b64decode(Sealer(KEY).seal("a", b"secret"))
    for bit in range(len(raw) * 8):
        changed = (int.from_bytes(raw, "big") ^ (1 << bit)).to_bytes(len(raw), "big")
        with pytest.raises(Unsealable):
            Sealer(KEY).read("a", base64.urlsafe_b64encode(changed).decode())
    for length in range(len(raw)):
        with pytest.raises(Unsealable):
            Sealer(KEY).read("a", base64.urlsafe_b64encode(raw[:length]).decode())


@pytest.mark.parametrize("kept", ["", "=", "A", "ä", "AQ==", "not base64!"])
def test_what_was_never_sealed_is_told(kept: str) -> None:
    with pytest.raises(Unsealable, match="damaged"):
        Sealer(KEY).read("a", kept)


def test_without_a_key_nothing_is_sealed_or_read() -> None:
    with pytest.raises(Unsealable, match="SECRETS_KEY is not set"):
        Sealer("").seal("a", b"secret")
    with pytest.raises(Unsealable, match="SECRETS_KEY is not set"):
        Sealer("").read("a", Sealer(KEY).seal("a", b"secret"))


def test_the_secret_is_not_in_what_is_raised() -> None:
    sealed = Sealer(KEY).seal("a", b"kanarienvogel")
    with pytest.raises(Unsealable) as told:
        Sealer(OTHER).read("a", sealed)
    assert "kanarienvogel" not in str(told.value) and KEY not in str(told.value)
