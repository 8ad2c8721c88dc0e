"""What answering calls reads of the catalogue and the store."""

from __future__ import annotations

from typing import Protocol

from catalogue.index import View
from store.contract import Tenant


class Catalogue(Protocol):
    """Who has which modules."""

    @property
    def ready(self) -> bool:
        """The plugin folders were read: what is not there now is nowhere."""

    def view(self, owner: str) -> View | None:
        """The owner's modules now; None when it never had any."""


class Tenants(Protocol):
    """Who there is."""

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant registered under this UUID."""
