"""The keys that tokens are made with: up to two of each owner, so that one can take the place of the other.

They are kept sealed, those of a tenant with the tenant and the admin's among the settings.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

import msgspec

from plugbay_client.token import TokenKey
from store.changing import Tenants, change_tenant
from store.contract import ADMIN_TOKEN_KEYS, Tenant, TenantChange
from store.sealing import Sealer, Unsealable, token_keys_of

MAX_KEYS: Final = 2
"""Keys of one owner that are good at once."""
MAX_READ: Final = 10_000
"""Owners whose keys are kept in memory as they are read."""


class Kept(msgspec.Struct, frozen=True):
    """One key as it is sealed."""

    id: bytes
    secret: bytes
    created: float
    """Unix time."""


class Store(Tenants, Protocol):
    """Where the keys are kept."""

    async def tenants(self) -> list[Tenant]:
        """See store.contract.Store."""

    async def setting(self, name: str) -> str | None:
        """See store.contract.Store."""

    async def put_setting(self, name: str, value: str | None) -> None:
        """See store.contract.Store."""


class TokenKeys:
    """The keys of all owners."""

    def __init__(self, admin: str, sealer: Sealer, store: Store) -> None:
        """`admin` is the admin's UUID."""
        self._admin = admin
        self._sealer = sealer
        self._store = store
        self._admins = ""
        self._secrets: dict[tuple[str, str], Mapping[bytes, bytes]] = {}
        """By owner and what is sealed: another seal is other keys."""
        self._changing = asyncio.Lock()
        """Held while the admin's are changed."""

    async def load(self) -> None:
        """Takes up the admin's keys, as they are now. Raises StoreUnavailable."""
        self._admins = await self._store.setting(ADMIN_TOKEN_KEYS) or ""

    def secrets(self, owner: str, tenant: Tenant | None) -> Mapping[bytes, bytes]:
        """Secrets by key id, of the admin without `tenant`. Raises Unsealable."""
        sealed = self._admins if tenant is None else tenant.token_keys
        found = self._secrets.get((owner, sealed))
        if found is None:
            found = {key.id: key.secret for key in self._unsealed(owner, sealed)}
            if len(self._secrets) >= MAX_READ:
                self._secrets.clear()
            self._secrets[owner, sealed] = found
        return found

    async def of(self, owner: str) -> tuple[Kept, ...]:
        """An owner's keys, the newest last; none of a tenant that is not there. Raises Unsealable, StoreUnavailable."""
        if owner == self._admin:
            await self.load()
            return self._unsealed(owner, self._admins)
        tenant = await self._store.tenant(owner)
        return () if tenant is None else self._unsealed(owner, tenant.token_keys)

    async def make(self, owner: str) -> tuple[TokenKey, Kept]:
        """Another key of an owner. When there are too many then, the oldest is good no more. Raises Unsealable,
        StoreUnavailable."""
        key = TokenKey.new()
        kept = Kept(key.id, key.secret, time.time())

        def with_it(sealed: str) -> str:
            others = (other for other in self._unsealed(owner, sealed) if other.id != key.id)
            return self._sealed(owner, (*others, kept)[-MAX_KEYS:])

        await self._change(owner, with_it)
        return key, kept

    async def retire(self, owner: str, key_id: bytes) -> bool:
        """Makes a key good no more; False when there is none with this id. Raises Unsealable, StoreUnavailable."""

        def without_it(sealed: str) -> str | None:
            keys = self._unsealed(owner, sealed)
            left = tuple(key for key in keys if key.id != key_id)
            return self._sealed(owner, left) if left != keys else None

        return await self._change(owner, without_it)

    async def forget(self, owner: str) -> None:
        """Makes all keys of an owner good no more, also those that cannot be read. Raises StoreUnavailable."""
        await self._change(owner, lambda _: "")

    async def reseal(self) -> int:
        """Seals with the installation's key what is sealed with the one before, and gives how many owners' that
        were. Raises Unsealable, StoreUnavailable."""
        count = 0
        for owner in (self._admin, *(tenant.uuid for tenant in await self._store.tenants() if tenant.token_keys)):
            count += await self._change(owner, partial(self._resealed, owner))
        return count

    async def _change(self, owner: str, change: Callable[[str], str | None]) -> bool:
        """Keeps what `change` makes of the sealed keys there are; False when it makes None. Raises StoreUnavailable."""
        made: str | None = None

        def changed(tenant: Tenant) -> TenantChange | None:
            nonlocal made
            made = change(tenant.token_keys)
            return None if made is None else TenantChange(token_keys=made)

        if owner != self._admin:
            await change_tenant(self._store, owner, changed)
            return made is not None
        async with self._changing:
            await self.load()
            made = change(self._admins)
            if made is not None:
                await self._store.put_setting(ADMIN_TOKEN_KEYS, made or None)
                self._admins = made
            return made is not None

    def _resealed(self, owner: str, sealed: str) -> str | None:
        return self._sealer.reseal(token_keys_of(owner), sealed) if sealed else None

    def _sealed(self, owner: str, keys: tuple[Kept, ...]) -> str:
        return self._sealer.seal(token_keys_of(owner), msgspec.msgpack.encode(keys)) if keys else ""

    def _unsealed(self, owner: str, sealed: str) -> tuple[Kept, ...]:
        if not sealed:
            return ()
        try:
            return msgspec.msgpack.decode(self._sealer.read(token_keys_of(owner), sealed), type=tuple[Kept, ...])
        except msgspec.DecodeError as error:
            raise Unsealable(f"{token_keys_of(owner)}: what is kept is of another version") from error
