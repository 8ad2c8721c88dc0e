"""What the control plane is given: the parts of the platform that it shows and changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from calls.kept import KeptCalls
from calls.pools import PoolControl
from catalogue.sealed import InstallationKeys
from catalogue.uploads import Uploads
from catalogue.view import View
from gateway.audit_trail import AuditTrail
from gateway.control.guard import PRINCIPAL, STILL
from gateway.control.keys import Principal
from gateway.logs import CallLogs
from gateway.metrics import Metrics
from gateway.runtime_settings import RuntimeSettings
from gateway.token_keys import TokenKeys
from gateway.usage import UsageMeter
from settings import Settings
from store.contract import Store
from store.variables import Variables


class Catalogue(Protocol):
    """Who has which modules."""

    def view(self, owner: str) -> View | None:
        """The owner's modules now, the same object until one of them changes; None when it never had any."""

    def follow(self, owner: str) -> None:
        """This tenant was registered, changed or removed: its modules serve or stop within a second."""

    @property
    def uploads(self) -> Uploads:
        """The modules that come over the network."""


@dataclass(frozen=True)
class Services:
    """Everything the control plane calls."""

    settings: Settings
    catalogue: Catalogue
    store: Store
    plans: Collection[str]
    """Names of the plans that a tenant may have."""
    pools: PoolControl
    logs: CallLogs
    metrics: Metrics
    runtime: RuntimeSettings
    token_keys: TokenKeys
    installation_keys: InstallationKeys
    """What opens sealed uploads."""
    usage: UsageMeter
    kept: KeptCalls
    audit: AuditTrail
    variables: Variables
    variables_changed: Callable[[str], None]
    """Tells who runs code of this tenant in the same process."""
    ready: Callable[[], str | None]
    """None when a call would be served now, else what is not ready."""
    told_secs: float = 0
    """Seconds in which all gateways know of a change of the store; 0 when there is one gateway."""

    @property
    def admin(self) -> str:
        """UUID of the owner that the admin's key speaks for."""
        return str(self.settings.ADMIN_UUID)

    def view(self, owner: str) -> View:
        """The owner's modules now."""
        return self.catalogue.view(owner) or View(owner, 0)


async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


Wired = Annotated[Services, Depends(_services)]


async def _principal(request: Request) -> Principal:
    principal = request.scope[PRINCIPAL]
    assert isinstance(principal, Principal)
    return principal


Who = Annotated[Principal, Depends(_principal)]
"""Whoever sent the request; its modules, endpoints and logs are what it sees."""


async def _still(request: Request) -> Callable[[], Awaitable[bool]]:
    still: Callable[[], Awaitable[bool]] = request.scope[STILL]
    return still


Still = Annotated[Callable[[], Awaitable[bool]], Depends(_still)]
"""Tells whether whoever sent the request might send it now."""
