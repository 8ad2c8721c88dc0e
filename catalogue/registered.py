"""Which tenants there are, as far as plugin folders name them. Asked for once, and again when told of a change."""

from __future__ import annotations

from collections.abc import Iterable

from store.contract import Status, Store


class Registered:
    """The admin, and the tenants that modules in the plugin folders name as their owner."""

    def __init__(self, admin: str, store: Store) -> None:
        self._admin = admin
        self._store = store
        self._enabled: dict[str, bool] = {}
        self._changed: set[str] = set()

    def __contains__(self, owner: str) -> bool:
        return owner == self._admin or owner in self._enabled

    def enabled(self, owner: str) -> bool:
        """Whether code of an owner that is registered may run."""
        return owner == self._admin or self._enabled[owner]

    def changed(self, uuid: str) -> None:
        """This tenant may not be what it was: `look` asks for it again."""
        self._changed.add(uuid)

    async def look(self, named: Iterable[str]) -> list[str]:
        """Asks for those of `named` that are not known, and for what changed. Gives those of which something
        else is known now. Raises StoreUnavailable."""
        different: list[str] = []
        for uuid in ({*named} - self._enabled.keys()) | (self._changed & self._enabled.keys()):
            tenant = await self._store.tenant(uuid)
            before = self._enabled.pop(uuid, None)
            if tenant is not None:
                self._enabled[uuid] = tenant.status is Status.ENABLED
            if self._enabled.get(uuid) != before:
                different.append(uuid)
        self._changed.clear()
        return different
