"""Who is let through to a function, and to what it has answered."""

from __future__ import annotations

from typing import Any

from gateway import sign_in
from gateway.answers import Answer
from gateway.credentials import Credentials
from gateway.identity import SignIn
from gateway.runtime_settings import RuntimeSettings
from settings import Settings
from store.contract import Role, Tenant


class Admission:
    """What the settings require of those who send a request: a sign-in, a token, both or neither."""

    def __init__(self, settings: Settings, runtime: RuntimeSettings, credentials: Credentials) -> None:
        self._require_sign_in = settings.REQUIRE_SIGN_IN
        self._runtime = runtime
        self._credentials = credentials

    async def refusal(self, scope: Any, known: SignIn, owner: str, tenant: Tenant | None) -> Answer | None:
        """Why this request is not let through to what is this owner's; None when it is, and then its token is used up.
        `tenant` is the owner, None the admin. Raises StoreUnavailable."""
        if _takes(self._require_sign_in, tenant) and (refusal := sign_in.refusal(scope, known)):
            return refusal
        if self.takes_token(tenant):
            return await self._credentials.refusal(scope, owner, tenant)
        return None

    def takes_token(self, tenant: Tenant | None) -> bool:
        """Whether requests to this owner, None the admin, take a token."""
        return _takes(self._runtime.require_tokens, tenant)


def _takes(required: str, tenant: Tenant | None) -> bool:
    """Whether calls of this owner, None the installation's admin, take what is required of `none`, `tenants` or `all`."""
    return required == "all" or (required == "tenants" and tenant is not None and tenant.role is Role.TENANT)
