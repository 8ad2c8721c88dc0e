"""Why a call that takes somebody who is signed in is not let through."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from gateway import answers
from gateway.answers import Answer
from gateway.headers import NO_STORE
from gateway.identity import SignIn, State

log = logging.getLogger("plugbay.sign_in")

START: Final = "/oauth2/start?rd="
"""Where people sign in (nginx/sign_in.conf); what follows is where they come back to."""

_RETRY_SECS: Final = 1
"""Seconds after which the service may be there."""


def refusal(scope: Any, known: SignIn) -> Answer | None:
    """Why this request is not let through; None when it is."""
    if known.identity is not None:
        return None
    if known.state is State.REFUSED:
        return answers.refused(403, "whoever is signed in may not use this installation", (NO_STORE,))
    if known.state is not State.NOBODY:
        log.warning("calls take somebody who is signed in, and no proxy says who is: %s", known.state.name)
        retry = (b"retry-after", b"%d" % _RETRY_SECS)
        return answers.refused(503, "it cannot be known now who is signed in; the log says why", (retry, NO_STORE))
    start = START + quote(_target(scope), safe="/")  # all of it is one value: its own & and = are escaped
    if scope["method"] in ("GET", "HEAD") and _is_page(scope["headers"]):
        return answers.refused(302, f"sign in: {start}", ((b"location", start.encode()), NO_STORE))
    challenge = (b"www-authenticate", b"Bearer")
    return answers.refused(401, f"this takes somebody who is signed in: {start}", (challenge, NO_STORE))


def _target(scope: Any) -> bytes:
    path: bytes = scope["raw_path"]
    return b"%b?%b" % (path, scope["query_string"]) if scope["query_string"] else path


def _is_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """True when a browser asks for what it will show, not a program for JSON."""
    return any(name == b"accept" and b"text/html" in value for name, value in headers)
