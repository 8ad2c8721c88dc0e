"""What the control plane is given: the parts of the platform that it shows and changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from calls.pools import PoolControl
from catalogue.view import View
from gateway.logs import CallLogs
from gateway.metrics import Metrics
from gateway.runtime_settings import RuntimeSettings
from settings import Settings


class Catalogue(Protocol):
    """Who has which modules."""

    def view(self, owner: str) -> View | None:
        """The owner's modules now, the same object until one of them changes; None when it never had any."""


@dataclass(frozen=True)
class Services:
    """Everything the control plane calls."""

    settings: Settings
    catalogue: Catalogue
    pools: PoolControl
    logs: CallLogs
    metrics: Metrics
    runtime: RuntimeSettings
    ready: Callable[[], str | None]
    """None when a call would be served now, else what is not ready."""

    @property
    def admin(self) -> str:
        """UUID of the owner that the admin's key speaks for."""
        return str(self.settings.ADMIN_UUID)

    def view(self) -> View:
        """The admin's modules now."""
        return self.catalogue.view(self.admin) or View(self.admin, 0)


async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


Wired = Annotated[Services, Depends(_services)]
