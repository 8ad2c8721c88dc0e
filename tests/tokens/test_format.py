"""A token is good for one request, in one spelling, and changed in any way for none."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from plugbay_client.token import HEAD_SIZE, TokenKey, mint, seal
from tokens.opening import SKEW_SECS, BadToken, Opened, check_fresh, open_token

KEY = TokenKey(b"\1\2\3\4", bytes(range(32)))
KEYS = {KEY.id: KEY.secret}
TENANT = UUID("0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1")
TARGET = f"/rest/services/{TENANT}/hello/?name=Ada"
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def good() -> bytes:
    return mint(KEY, TENANT, "GET", TARGET).encode()


def is_good(token: bytes, method: bytes = b"GET", target: bytes = TARGET.encode(), tenant: UUID = TENANT) -> bool:
    try:
        open_token(token, KEYS, tenant.bytes, method, target)
    except BadToken:
        return False
    return True


def test_what_was_minted_is_opened() -> None:
    made = mint(KEY, TENANT, "GET", TARGET, now=1_700_000_000.25)
    opened = open_token(made.encode(), KEYS, TENANT.bytes, b"GET", TARGET.encode())
    assert opened.issued_ms == 1_700_000_000_250
    assert len(opened.jti) == 16


def test_tokens_for_one_request_have_nothing_in_common_but_version_and_key() -> None:
    raw = [base64.urlsafe_b64decode(good()) for _ in range(100)]
    assert {one[:HEAD_SIZE] for one in raw} == {b"\1" + KEY.id}
    for place in range(HEAD_SIZE, len(raw[0])):
        assert len({one[place] for one in raw}) > 10, f"byte {place} hardly changes"


def test_all_tokens_are_of_one_length() -> None:
    assert {len(mint(KEY, TENANT, "GET", "/rest/" + "x" * size)) for size in (0, 1, 2, 3, 4000)} == {92}


def test_every_flipped_bit_is_refused() -> None:
    raw = base64.urlsafe_b64decode(good())
    for bit in range(len(raw) * 8):
        flipped = (int.from_bytes(raw, "big") ^ (1 << bit)).to_bytes(len(raw), "big")
        assert not is_good(base64.urlsafe_b64encode(flipped)), f"bit {bit}"


def test_every_other_character_at_every_place_is_refused() -> None:
    token = good()
    for place in range(len(token)):
        for other in set(range(256)) - {token[place]}:
            assert not is_good(token[:place] + bytes((other,)) + token[place + 1 :]), f"{other:#x} at {place}"


def test_every_cut_and_every_appended_byte_is_refused() -> None:
    token = good()
    for length in range(len(token)):
        assert not is_good(token[:length])
        assert not is_good(token[length + 1 :])
    for byte in range(256):
        assert not is_good(token + bytes((byte,)))
        assert not is_good(bytes((byte,)) + token)


def _spellings(token: bytes) -> Iterator[bytes]:
    """What lenient decoders of base64 take for the same."""
    yield token + b"="
    yield token + b"=="
    yield token + b"\n"
    yield token[:4] + b" " + token[4:]
    yield token[:4] + b"\r\n" + token[4:]
    yield token + token
    yield token + b"."
    yield base64.urlsafe_b64encode(base64.urlsafe_b64decode(token) + b"\0")
    yield token.decode().encode("utf-16-le")
    yield b"\xef\xbb\xbf" + token
    yield base64.urlsafe_b64decode(token)
    yield base64.urlsafe_b64encode(token)


def test_no_other_spelling_is_taken() -> None:
    for spelling in _spellings(good()):
        assert not is_good(spelling), spelling


@pytest.mark.parametrize("letters", [(b"-", b"+"), (b"_", b"/")])
def test_the_other_alphabet_is_refused(letters: tuple[bytes, bytes]) -> None:
    token = next(token for token in iter(good, b"") if letters[0] in token)
    assert is_good(token)
    assert not is_good(token.replace(*letters))


@pytest.mark.parametrize("method", [b"HEAD", b"POST", b"get", b"GE", b"GETT", b"", b"GET\0", b"OPTIONS"])
def test_another_method_is_refused(method: bytes) -> None:
    assert not is_good(good(), method=method)


@pytest.mark.parametrize(
    "target",
    [
        f"/rest/services/{TENANT}/hello/",
        f"/rest/services/{TENANT}/hello/?",
        f"/rest/services/{TENANT}/hello?name=Ada",
        f"/rest/services/{TENANT}/hello//?name=Ada",
        f"/rest/services/{TENANT}/Hello/?name=Ada",
        f"/rest/services/{TENANT}/%68ello/?name=Ada",
        f"/rest/services/{TENANT}/hi/?name=Ada",
        f"/rest/services/{TENANT}/module/hello/?name=Ada",
        f"/rest/services/{TENANT}/hello/?name=Ada&",
        f"/rest/services/{TENANT}/hello/?name=Ada&name=Bob",
        f"/rest/services/{TENANT}/hello/?name=%41da",
        f"/rest/services/{TENANT}/hello/?NAME=Ada",
        f"/rest/services/{TENANT}/hello/?name=Ada#",
        "/rest/services/hello/?name=Ada",
        "",
    ],
)
def test_another_target_is_refused(target: str) -> None:
    assert not is_good(good(), target=target.encode())


def test_another_tenant_is_refused_even_with_the_same_key() -> None:
    assert not is_good(good(), tenant=uuid4())


def test_where_the_method_ends_cannot_be_moved() -> None:
    assert not is_good(good(), method=b"GET/", target=TARGET[1:].encode())
    assert not is_good(good(), method=b"GE", target=b"T" + TARGET.encode())


def test_an_unknown_or_retired_key_is_refused() -> None:
    token = good()
    for keys in ({}, {b"\4\3\2\1": KEY.secret}, {KEY.id: bytes(32)}):
        with pytest.raises(BadToken):
            open_token(token, keys, TENANT.bytes, b"GET", TARGET.encode())


def test_two_keys_are_good_at_once() -> None:
    second = TokenKey.new()
    keys = KEYS | {second.id: second.secret}
    for key in (KEY, second):
        token = mint(key, TENANT, "GET", TARGET).encode()
        open_token(token, keys, TENANT.bytes, b"GET", TARGET.encode())


def test_what_stands_for_no_key_opens_nothing() -> None:
    forged = mint(TokenKey(b"\0\0\0\0", bytes(32)), TENANT, "GET", TARGET)
    with pytest.raises(BadToken):
        open_token(forged.encode(), KEYS, TENANT.bytes, b"GET", TARGET.encode())


@pytest.mark.parametrize("part", [slice(5, 29), slice(53, 69), slice(29, 53), slice(0, 5), slice(0, 69)])
@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_parts_that_are_all_alike_are_refused(part: slice, byte: bytes) -> None:
    raw = bytearray(base64.urlsafe_b64decode(good()))
    raw[part] = byte * (part.stop - part.start)
    assert not is_good(base64.urlsafe_b64encode(raw))


@pytest.mark.parametrize(
    ("age_ms", "fresh"),
    [
        (0, True),
        (29_999, True),
        (30_000, False),
        (31_000, False),
        (-(SKEW_SECS - 1) * 1000, True),
        (-SKEW_SECS * 1000, True),
        (-SKEW_SECS * 1000 - 1, False),
        (-(SKEW_SECS + 1) * 1000, False),
        (-120_000, False),
        (120_000, False),
    ],
)
def test_a_token_has_its_life_and_no_more(age_ms: int, fresh: bool) -> None:
    now = 1_700_000_000_000
    opened = Opened(now - age_ms, bytes(16))
    if fresh:
        check_fresh(opened, now, 30)
    else:
        with pytest.raises(BadToken):
            check_fresh(opened, now, 30)


@pytest.mark.parametrize("issued_ms", [0, 2**63, 2**64 - 1])
def test_any_time_can_be_told_and_none_of_these_is_fresh(issued_ms: int) -> None:
    made = seal(KEY, TENANT, "GET", TARGET, issued_ms, bytes(16), bytes(24))
    opened = open_token(made.encode(), KEYS, TENANT.bytes, b"GET", TARGET.encode())
    assert opened.issued_ms == issued_ms
    with pytest.raises(BadToken):
        check_fresh(opened, 1_700_000_000_000, 30)


@pytest.mark.parametrize(
    "text", ["", "pbk_", "pbk_" + "A" * 47, "pbk_" + "A" * 49, "PBK_" + "A" * 48, "pbk_" + "=" * 48]
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="no key") as told:
        TokenKey.parse(text)
    assert len(text) < 10 or text not in str(told.value)


def test_a_key_survives_being_copied_and_does_not_show_in_messages() -> None:
    key = TokenKey.new()
    assert TokenKey.parse(key.text()) == key
    assert base64.urlsafe_b64encode(key.secret).decode()[:20] not in repr(key)
    assert repr(key.secret) not in repr(key)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("get", "/rest/x"),
        ("", "/rest/x"),
        ("G" * 17, "/rest/x"),
        ("GET", "/api/x"),
        ("GET", "/rest/x?"),
        ("GET", "/rest/x#y"),
        ("GET", "/rest/x y"),
        ("GET", "/rest/ä"),
        ("GET", "https://h/rest/x"),
    ],
)
def test_a_request_that_cannot_be_is_told_at_once(method: str, target: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        mint(KEY, TENANT, method, target)


def test_the_alphabet_of_these_tests_is_the_one_of_tokens() -> None:
    seen = set(b"".join(good() for _ in range(200)))
    assert seen == set(ALPHABET)
