"""Given the secret of an authenticator app, when a code comes, then it is known as RFC 6238 says."""

from __future__ import annotations

import subprocess
import sys

import pyotp
import pytest

import expose

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""`12345678901234567890` in base32: the secret of the test vectors."""
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
"""RFC 6238, appendix B, SHA-1."""


@pytest.mark.parametrize(("now", "code"), VECTORS)
def test_the_vectors_of_the_rfc(now: int, code: str) -> None:
    assert expose.totp(SECRET, code, digits=8, now=now)
    assert expose.totp(SECRET, code[1:], digits=7, now=now)
    assert expose.totp(SECRET, code[2:], now=now)
    assert not expose.totp(SECRET, code, now=now)
    assert expose.totp_step(SECRET, code, digits=8, now=now) == now // 30


@pytest.mark.parametrize(
    ("now", "good"), [(0, True), (29.9, True), (30, True), (60, True), (89.9, True), (90, False), (3659, False)]
)
def test_a_code_is_good_one_step_before_and_after_its_own(now: float, good: bool) -> None:
    assert expose.totp(SECRET, "287082", now=now) is good


def test_the_clock_is_asked_when_no_time_is_given() -> None:
    assert expose.totp(SECRET, pyotp.TOTP(SECRET).now())


def test_a_code_is_good_once_for_who_keeps_its_step() -> None:
    step = expose.totp_step(SECRET, "287082", now=59)
    assert step == 1
    assert expose.totp_step(SECRET, "287082", after=step, now=59) is None
    later = expose.totp_step(SECRET, "359152", after=step, now=59)
    assert later == 2
    assert expose.totp_step(SECRET, "287082", after=later, now=59) is None
    assert expose.totp_step(SECRET, "755224", after=-1, now=59) == 0
    assert expose.totp_step(SECRET, "755224", after=0, now=59) is None


@pytest.mark.parametrize(
    "code", ["", "28708", "2870822", " 287082", "287 082", "２８７０８２", "\ud800", "0x46f6a", "a" * 10**6]
)
def test_what_no_app_shows_is_no_code(code: str) -> None:
    assert not expose.totp(SECRET, code, now=59)


@pytest.mark.parametrize("secret", [SECRET.lower(), "gezd gnbv gy3t qojq gezd gnbv gy3t qojq", SECRET + "="])
def test_a_secret_as_it_is_shown_to_people(secret: str) -> None:
    assert expose.totp(secret, "287082", now=59)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("", "shorter than 26 characters of base32"),
        (SECRET[:25], "shorter than 26 characters of base32"),
        ("1" * 32, "not base32: letters, and digits from 2 to 7"),
        ("ä" * 32, "not base32"),
        ("A" * 33, "not base32"),
    ],
)
def test_a_secret_that_is_none_is_an_error_that_does_not_show_it(secret: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as raised:
        expose.totp(secret, "287082", now=59)
    assert not secret or secret not in str(raised.value)


def test_what_cannot_be_meant_is_an_error() -> None:
    with pytest.raises(TypeError, match="code is int, not str"):
        expose.totp(SECRET, 287082, now=59)  # type: ignore[arg-type]
    for digits in (5, 9):
        with pytest.raises(ValueError, match=f"digits is {digits}: apps show 6 to 8"):
            expose.totp(SECRET, "287082", digits=digits, now=59)


def test_the_sdk_alone_loads_no_cryptography() -> None:
    script = "import sys, expose; print(sorted({'pyotp', 'hashlib', '_hashlib', 'hmac', 'ssl'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
