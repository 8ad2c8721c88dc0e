"""Whether a call may pass where tokens are required: by a token, or by a key of the tenant whose function it is."""

from __future__ import annotations

import logging
from typing import Any, Final
from uuid import UUID

from gateway import answers
from gateway.answers import Answer
from gateway.api_keys import NOTHING, Scope, granted
from gateway.tenant_keys import SentKey
from gateway.token_keys import TokenKeys
from store.changing import Tenants
from store.contract import Tenant
from store.sealing import Unsealable
from tokens.ledger import Ledger, LedgerUnavailable
from tokens.opening import BadToken, open_token

log = logging.getLogger("plugbay.tokens")

_RETRY_SECS: Final = 1
"""Seconds after which what is not available may be."""
_CHALLENGE: Final = ((b"www-authenticate", b"Token"),)
_WANTED: Final = "this takes a token: a new one, made for this very request, and not used before (docs/tokens.md)"
_WANTED_OF_TENANTS: Final = f"{_WANTED}, or a key of the tenant (docs/authentication.md)"
"""Whatever is wrong, this is what is told of it."""


class _BadKey(Exception):
    """The key is none of the tenant's, or it has ended."""


class Credentials:
    """Opens the token of a request and has it count once, or knows its key."""

    def __init__(self, keys: TokenKeys, ledger: Ledger, tenants: Tenants) -> None:
        self._keys = keys
        self._ledger = ledger
        self._tenants = tenants

    async def refusal(self, scope: Any, owner: str, tenant: Tenant | None) -> Answer | None:
        """Why this request is not let through; None when it is, and then its token is used up. `tenant` is the
        owner's, None the admin, which has keys only where it was a tenant elsewhere. Raises StoreUnavailable."""
        try:
            scheme, credential = _given(scope["headers"])
            if scheme == b"bearer":
                return await self._refusal_of_key(credential, owner, tenant)
            if scheme != b"token":
                raise BadToken("its Authorization is neither Token nor Bearer")
            await self._spend(credential, scope, owner, tenant)
        except (BadToken, _BadKey) as error:
            log.debug("a credential for %s is refused: %s", owner, error)
            return answers.refused(401, _WANTED if tenant is None else _WANTED_OF_TENANTS, _CHALLENGE)
        except (LedgerUnavailable, Unsealable) as error:
            log.warning("tokens: %s", error)
            retry = ((b"retry-after", b"%d" % _RETRY_SECS),)
            return answers.refused(503, "tokens cannot be checked now; the platform's log says why", retry)
        return None

    async def _refusal_of_key(self, key: bytes, owner: str, tenant: Tenant | None) -> Answer | None:
        """Why a key does not let a call of this owner through; None when it does. Raises _BadKey, StoreUnavailable."""
        sent = SentKey.parse(key)
        if tenant is None and sent is not None and sent.uuid == owner:
            tenant = await self._tenants.tenant(owner)
        scopes = NOTHING if sent is None else granted(sent, tenant)
        if not scopes:
            raise _BadKey("its key is none, has ended, or is another's")
        return None if Scope.CALL in scopes else answers.refused(403, f"this takes a key with the scope {Scope.CALL}")

    async def _spend(self, token: bytes, scope: Any, owner: str, tenant: Tenant | None) -> None:
        """Has a token count for this request. Raises BadToken, LedgerUnavailable, Unsealable."""
        secrets = self._keys.secrets(owner, tenant)
        target = scope["raw_path"]
        if scope["query_string"]:
            target = b"%b?%b" % (target, scope["query_string"])
        uuid = UUID(owner)
        opened = open_token(token, secrets, uuid.bytes, scope["method"].encode(), target)
        await self._ledger.spend(uuid, opened)


def _given(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """The scheme in the headers, in lower case, and the token or key. Raises BadToken."""
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1:
        raise BadToken("there is more than one Authorization" if given else "there is none")
    scheme, _, credential = given[0].partition(b" ")
    return scheme.lower(), credential
