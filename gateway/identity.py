"""Who is signed in.

The stack's nginx asks the sign-in service (oauth2-proxy) about each call, and says behind its proof what it was told
(`gateway.http.forwarded`); the user, their e-mail address and groups then stand in headers that nginx wrote. Without
that proof these headers are anybody's, and nobody is signed in.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from gateway.http.forwarded import PROXIED, SIGN_IN

SESSION: Final = (b"_plugbay_session", b"__Host-plugbay_session")
"""How the names of the service's cookies begin; scripts/stack.sh gives them."""

_WRITTEN: Final = (b"x-auth-request-user", b"x-auth-request-email", b"x-auth-request-groups")
"""What nginx writes of somebody who is signed in."""
_CLAIMS: Final = (
    *(b"x-auth-request-", b"x-auth-user", b"x-auth-email", b"x-auth-groups", b"x-authenticated-", b"x-webauth-"),
    *(b"x-forwarded-user", b"x-forwarded-email", b"x-forwarded-groups", b"x-forwarded-preferred-username"),
    *(b"x-forwarded-access-token", b"x-remote-", b"remote-", b"x-plugbay-"),
)
"""How the names of headers begin by which proxies say who somebody is."""
_BEARER: Final = re.compile(rb"bearer[ \t]", re.IGNORECASE)


class State(enum.Enum):
    """What nginx was told when it asked."""

    KNOWN = b"known"
    NOBODY = b"nobody"
    REFUSED = b"refused"
    """Somebody who may not sign in here."""
    AWAY = b"away"
    """No answer, or none that can be understood."""
    UNASKED = b""


_STATES: Final = {one.value: one for one in State}


class Identity(msgspec.Struct, frozen=True):
    """Somebody, as their provider knows them."""

    user: str
    """The provider's id of the user."""
    email: str
    groups: tuple[str, ...]


class SignIn(NamedTuple):
    """What is known of who sends a request."""

    state: State
    identity: Identity | None
    """None unless KNOWN."""

    @classmethod
    def of(cls, scope: Any) -> SignIn:
        """What is known of who sends the request of this ASGI scope."""
        told = scope.get("extensions", {}).get(PROXIED, {}).get(SIGN_IN, b"")
        state = _STATES.get(told, State.AWAY)
        if state is not State.KNOWN:
            return cls(state, None)
        written = [(name, value) for name, value in scope["headers"] if name in _WRITTEN]
        claims = dict(written)
        try:
            user, email, groups = (claims.get(name, b"").decode() for name in _WRITTEN)
        except UnicodeDecodeError:
            return cls(State.AWAY, None)
        if not user or len(claims) != len(written):
            return cls(State.AWAY, None)
        return cls(state, Identity(user, email, tuple(group for group in groups.split(",") if group)))

    def shown(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """The headers as a function may see them: none says who somebody is, and by none could the function sign in
        as its caller. A Bearer that the service did not take is the function's own."""
        own = self.state in (State.NOBODY, State.UNASKED)
        for name, value in headers:
            if name.startswith(_CLAIMS) or (name == b"authorization" and not own and _BEARER.match(value)):
                continue
            if name == b"cookie":
                value = b"; ".join(_others(value))
                if not value:
                    continue
            yield name, value


def _others(cookies: bytes) -> Iterator[bytes]:
    """The cookies that are not the service's."""
    for cookie in cookies.split(b";"):
        stripped = cookie.strip()
        if stripped and not stripped.startswith(SESSION):
            yield stripped
