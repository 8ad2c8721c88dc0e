"""Which tenants and further admins there are, as far as plugin folders name them. Asked for once, and again when told
of a change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from store.contract import Role, Status, Store

_NOTHING: Final = (Role.TENANT, Status.DISABLED)


class Registered:
    """The installation's admin, and whom modules in the plugin folders name as their owner."""

    def __init__(self, admin: str, store: Store) -> None:
        self._admin = admin
        self._store = store
        self._known: dict[str, tuple[Role, Status]] = {}
        self._changed: set[str] = set()

    def __contains__(self, owner: str) -> bool:
        return owner == self._admin or owner in self._known

    def enabled(self, owner: str) -> bool:
        """Whether code of an owner that is registered may run."""
        return owner == self._admin or self._known[owner][1] is Status.ENABLED

    def role(self, owner: str) -> Role:
        """What an owner is; a tenant, as long as nothing is known of it."""
        return Role.ADMIN if owner == self._admin else self._known.get(owner, _NOTHING)[0]

    def changed(self, uuid: str) -> None:
        """This one may not be what it was: `look` asks for it again."""
        self._changed.add(uuid)

    async def look(self, named: Iterable[str]) -> list[str]:
        """Asks for those of `named` that are not known, and for what changed. Gives those of which something
        else is known now. Raises StoreUnavailable."""
        different: list[str] = []
        for uuid in ({*named} - self._known.keys()) | (self._changed & self._known.keys()):
            tenant = await self._store.tenant(uuid)
            before = self._known.pop(uuid, None)
            if tenant is not None:
                self._known[uuid] = tenant.role, tenant.status
            if self._known.get(uuid) != before:
                different.append(uuid)
        self._changed.clear()
        return different
