"""`expose.totp(secret, code)`: a second factor, as authenticator apps show it (RFC 6238)."""

from __future__ import annotations

import time
from typing import Final

STEP_SECS: Final = 30
"""Seconds for which an app shows a code (RFC 6238, 5.2)."""
WINDOW: Final = 1
"""Steps before and after the present one whose codes are good: for a clock that is off, and for who types slowly."""
MIN_SECRET: Final = 26
"""Characters of a secret at least: 128 bits (RFC 4226, 4, R6)."""


def totp(secret: str, code: str, *, digits: int = 6, now: float | None = None) -> bool:
    """Whether this is the code that an authenticator app with this secret shows now.

        @expose.endpoint(method="POST")
        def withdraw(amount: int, code: str) -> str:
            assert expose.totp(os.environ["TOTP_SECRET"], code), "that code is not good"     # 403

    `secret` is in base32, as apps take it; `code` is text, because it may begin with a zero. Good are the code of
    these 30 seconds, the one before and the one after; HMAC is SHA-1, as apps have it. `digits` is what the app was
    told, 6 to 8. `now` is the Unix time where it is not the clock's.

    A code is good for whoever has seen it until its time is over: where that is not good enough, see `totp_step`.
    Nothing here counts wrong guesses. Raises ValueError for a secret that is none, and never shows it.
    """
    return totp_step(secret, code, digits=digits, now=now) is not None


def totp_step(secret: str, code: str, *, after: int = -1, digits: int = 6, now: float | None = None) -> int | None:
    """The time step whose code this is, when it is a later one than `after`; None when the code is not good.

    So a code is good once (RFC 6238, 5.2): the function keeps the step of the last code it took, for each user, where
    all workers find it, gives it as `after`, and replaces it in one move that fails when another call was first.

        step = expose.totp_step(user.secret, code, after=user.last_step)
        assert step is not None and users.replace_step(user, old=user.last_step, new=step), "that code is not good"

    Otherwise as `totp`.
    """
    if not 6 <= digits <= 8:
        raise ValueError(f"digits is {digits}: apps show 6 to 8")
    if not isinstance(code, str):
        raise TypeError(f"code is {type(code).__name__}, not str: as a number it would lose zeros at its beginning")
    # Imported here: what they need is a tenth of a runner's memory, and most runners never come here.
    import hmac

    import pyotp

    key = secret.replace(" ", "").rstrip("=")
    if len(key) < MIN_SECRET:
        raise ValueError(f"the secret is shorter than {MIN_SECRET} characters of base32")
    try:
        codes = pyotp.HOTP(key, digits=digits)
    except ValueError as error:  # binascii.Error
        raise ValueError("the secret is not base32: letters, and digits from 2 to 7") from error
    present = int(time.time() if now is None else now) // STEP_SECS
    found = None
    for step in range(max(0, present - WINDOW), present + WINDOW + 1):
        # All are compared, whole: how long it takes tells nothing.
        if hmac.compare_digest(codes.at(step).encode(), code.encode("utf-8", "replace")) and step > after:
            found = step
    return found
