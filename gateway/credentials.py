"""Whether a call may pass: the token that it has to have where tokens are required."""

from __future__ import annotations

import logging
from typing import Any, Final
from uuid import UUID

from gateway import answers
from gateway.answers import Answer
from gateway.token_keys import TokenKeys
from store.contract import Tenant
from store.sealing import Unsealable
from tokens.ledger import Ledger, LedgerUnavailable
from tokens.opening import BadToken, open_token

log = logging.getLogger("plugbay.tokens")

_RETRY_SECS: Final = 1
"""Seconds after which what is not available may be."""
_CHALLENGE: Final = ((b"www-authenticate", b"Token"),)
_WANTED: Final = "this takes a token: a new one, made for this very request, and not used before (docs/tokens.md)"
"""Whatever is wrong, this is what is told of it."""


class Credentials:
    """Opens the token of a request and has it count once."""

    def __init__(self, keys: TokenKeys, ledger: Ledger) -> None:
        self._keys = keys
        self._ledger = ledger

    async def refusal(self, scope: Any, owner: str, tenant: Tenant | None) -> Answer | None:
        """Why this request is not let through; None when it is, and then its token is used up. `tenant` is the
        owner's, None the admin."""
        try:
            secrets = self._keys.secrets(owner, tenant)
            target = scope["raw_path"]
            if scope["query_string"]:
                target = b"%b?%b" % (target, scope["query_string"])
            uuid = UUID(owner)
            opened = open_token(_token(scope["headers"]), secrets, uuid.bytes, scope["method"].encode(), target)
            await self._ledger.spend(uuid, opened)
        except BadToken as error:
            log.debug("a token for %s is refused: %s", owner, error)
            return answers.refused(401, _WANTED, _CHALLENGE)
        except (LedgerUnavailable, Unsealable) as error:
            log.warning("tokens: %s", error)
            retry = ((b"retry-after", b"%d" % _RETRY_SECS),)
            return answers.refused(503, "tokens cannot be checked now; the platform's log says why", retry)
        return None


def _token(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The token in the headers. Raises BadToken."""
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1:
        raise BadToken("there is more than one Authorization" if given else "there is none")
    scheme, _, token = given[0].partition(b" ")
    if scheme.lower() != b"token":
        raise BadToken("its Authorization is no Token")
    return token
